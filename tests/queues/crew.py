"""A task queue with its real workers, as the test sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import redis

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds that a worker may take to end, on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the workers are told, as JSON in `QUEUES_SETUP`.

    Attributes:
        api: The provider's base URL.
        key: Its key.
        redis: Where ledger, queue and the jobs' own store are.
        account: The account's name.
        policy: Settings of the `Policy`.
        workers: Jobs that run at once.
        wait: Seconds that a job waits in line before it is handed back.
        call: Seconds that a call lasts.
        soft: The time limit of jobs that are to run into it, seconds.
        visible: Seconds after which the jobs of a worker that was killed are delivered again.
        jobs_per_process: After so many a worker process is replaced, where there is such a setting.
    """

    api: str
    key: str
    redis: str
    account: str
    policy: dict
    workers: int = 8
    wait: float = 0.3
    call: float = 0.1
    soft: int = 1
    visible: int = 4
    jobs_per_process: int | None = None


class Processes:
    """A command and all processes that come of it.

    Attributes:
        told_again_after: Seconds after which the command is told once more to end, where it may miss the first time.
    """

    told_again_after = PATIENCE

    def __init__(self):
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `close` closes it
        self._popen = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def run(self, command, **more):
        """Start the command, in a session of its own."""
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            **more,
        )

    def family(self):
        """Return the processes, those too whose parents are gone: they have their session in common."""
        found = []
        for process in psutil.process_iter() if self._popen is not None else ():
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == self._popen.pid:
                    found.append(process)
        return found

    def kill_all(self):
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._popen is not None:
            self._popen.wait()

    def stop(self):
        """Have the command end as it does when it is told to."""
        end = time.monotonic() + PATIENCE
        while self._popen.poll() is None:
            assert time.monotonic() < end, "it does not end"
            self._popen.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(self.told_again_after)

    def complaints(self):
        """Return what the processes have said, and where those stand that are still there."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGUSR2)
        time.sleep(0.5)
        self._log.seek(0)
        return self._log.read()

    def close(self):
        self.kill_all()
        self._log.close()


class Crew(Processes):
    """What all crews have in common.

    Attributes:
        budget: Tries that the queue itself grants a job.
        hard: Whether it has a time limit that kills.
    """

    budget = 1
    hard = False

    def __init__(self, stage):
        super().__init__()
        self.stage = stage
        self.connection = redis.Redis.from_url(stage.redis)

    def command(self):
        """Return the arguments of Python that run the workers."""
        raise NotImplementedError

    def enqueue(self, contact):
        """Enqueue a contact's job; its name tells which time limit it is to run into: `soft-...` or `hard-...`."""
        raise NotImplementedError

    def is_idle(self):
        """Return whether no job is queued, delayed, running, or to be delivered again."""
        raise NotImplementedError

    def start(self):
        environ = os.environ | {"QUEUES_SETUP": json.dumps(asdict(self.stage)), "PYTHONPATH": str(ROOT)}
        self.run([sys.executable, *self.command()], cwd=ROOT, env=environ)

    def kill(self, pid, contact):
        """Kill the process that runs a contact's job, and all that belongs to it, as a power cut would; go on anew."""
        del contact
        if pid in {process.pid for process in self.family()}:
            self.kill_all()
            self.start()

    def complaints(self):
        """Return what the workers have said, where they stand, and which keys their queue has."""
        lengths = {b"list": self.connection.llen, b"zset": self.connection.zcard, b"hash": self.connection.hlen}
        keys = sorted(key for key in self.connection.scan_iter() if not key.startswith((b"mark:", b"at:")))
        kinds = {key: self.connection.type(key) for key in keys}
        kept = [f"{key.decode()} {kind.decode()} {lengths.get(kind, len)(key)}" for key, kind in kinds.items()]
        return "\n".join([super().complaints(), *kept])

    def close(self):
        super().close()
        self.connection.close()
