"""Print what both versions of every example come to: `python -m tests.examples`."""

from tests.examples.table import HEAD, SCENARIOS, row
from tests.servers import redis_server


def main():
    print(*HEAD, sep="\n", flush=True)
    with redis_server() as server:
        for title, scenario in SCENARIOS.items():
            for version in ("before", "after"):
                print(row(title, version, scenario(server.url, version)), flush=True)


if __name__ == "__main__":
    main()
