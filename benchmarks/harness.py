"""What every benchmark needs: its options, a server of its own, and the facts of machine and server."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.subjects import FLOOR, OURS, Subject, all_subjects
from tests.servers import BINARIES, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

    from tests.servers import Server

NOT_INSTALLED = "not installed"
DEFAULT_SERVER = "redis-8.2" if "redis-8.2" in BINARIES else next(iter(BINARIES), "")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for.

    Attributes:
        quick: Shorter spans and fewer cases: for a look, not for quoting.
        server: A name of `tests.servers.BINARIES`.
        subjects: Labels or names; empty for all. The floor is always measured.
        plots: Where to write plots; `None` for none.
        json: Where to write the numbers; `None` for nowhere.
    """

    quick: bool = False
    server: str = DEFAULT_SERVER
    subjects: tuple[str, ...] = ()
    plots: Path | None = None
    json: Path | None = None

    def wanted(self, colour: str | None = None, *, floor: bool = True) -> list[Subject]:
        """Return the subjects to measure, those that are not installed too.

        Args:
            colour: Of that colour only.
            floor: Whether the floor is one of them.
        """
        return [
            subject
            for subject in all_subjects()
            if colour in {None, subject.colour} and (floor if subject.name == FLOOR else self._asked_for(subject))
        ]

    def _asked_for(self, subject: Subject) -> bool:
        return not self.subjects or bool({subject.name, subject.label} & set(self.subjects))

    @contextmanager
    def redis(self) -> Iterator[Server]:
        """Run a server that nobody has used before."""
        with redis_server(self.server) as server:
            yield server


class Spent(NamedTuple):
    """What a server has done so far, as it says itself.

    Attributes:
        cpu: Seconds of processor time, of user and system.
        commands: Commands run, those that scripts call included.
        reads: Times that it read from a socket: packets of requests, as it sees them.
    """

    cpu: float
    commands: int
    reads: int

    @classmethod
    def of(cls, client: redis.Redis) -> Spent:
        info = client.info("everything")
        return cls(
            info["used_cpu_user"] + info["used_cpu_sys"],
            info["total_commands_processed"],
            info["total_reads_processed"],
        )

    def since(self, before: Spent) -> Spent:
        return Spent(self.cpu - before.cpu, self.commands - before.commands, self.reads - before.reads)


def facts(options: Options) -> dict[str, object]:
    """Return what a reader of the numbers must know of machine, interpreter and server; nothing that names either."""
    with options.redis() as server, server.client() as client:
        server_version = client.info("server").get("redis_version", "unknown")
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "redis": server_version,
        "redis-py": version("redis"),
        "hiredis": version("hiredis"),
        "quick": options.quick,
        "packages": {
            subject.package: version(subject.package)
            for subject in all_subjects()
            if subject.package and subject.installed
        },
    }


__all__ = ["DEFAULT_SERVER", "FLOOR", "NOT_INSTALLED", "OURS", "Options", "Spent", "facts"]
