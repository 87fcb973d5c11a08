"""A fleet as its test sees it: the processes of `fleet.py`, and a provider that notes which of them asked."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from admission.testing import FakePureTalk, serve
from tests.integration.fleet import Job

ROOT = Path(__file__).parents[2]
KEY = "sk-live-4f1b0c55e2a94d1d"
"""The account's key: must never be found in the ledger."""

PATIENCE = 120.0
"""Seconds that a process may take to start, or to end, on a busy machine."""
_numbers = itertools.count()


class Request(NamedTuple):
    """One request to the provider: when it came (as `time.monotonic()`), and from which process."""

    at: float
    worker: str


class Provider:
    """A stand-in provider behind HTTP that notes who reads and who dials.

    Args:
        fake: The stand-in.
    """

    def __init__(self, fake):
        self.fake = fake
        self.url = ""
        self.readings = []
        self.dials = []

    async def __call__(self, scope, receive, send):
        worker = dict(scope["headers"]).get(b"x-worker", b"").decode()
        noted = self.dials if scope["method"] == "POST" else self.readings
        noted.append(Request(time.monotonic(), worker))
        await self.fake(scope, receive, send)

    def dialled(self, worker, since=0.0):
        """Return whether a process has dialled since then."""
        return any(dial.worker == worker and dial.at > since for dial in list(self.dials))


@contextmanager
def provider(limit, **settings):
    """Run a stand-in provider, which takes every call: so its truth tells what the fleet did wrong."""
    watched = Provider(FakePureTalk(limit, api_key=KEY, enforce=False, **settings))
    with serve(watched) as served:
        watched.url = served.url
        yield watched


class Process:
    """One process of a fleet, started, and told to begin with `begin`."""

    def __init__(self, job, log):
        self.job = job
        self._log = log
        command = [sys.executable, "-m", "tests.integration.fleet", job.text()]
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, text=True
        )

    @property
    def worker(self):
        return self.job.worker

    def wait_ready(self):
        assert self._hear() == "ready\n", self.complaints()

    def _hear(self):
        """Return its next line, empty when it has ended."""
        if not select.select([self._popen.stdout], [], [], PATIENCE)[0]:
            self._popen.send_signal(signal.SIGUSR1)
            time.sleep(1)
            raise AssertionError(f"{self.worker} says nothing for {PATIENCE} s: {self.complaints()}")
        return self._popen.stdout.readline()

    def begin(self):
        self._say("go")

    def start(self):
        """Have it begin as soon as it is ready, while others work."""
        self.wait_ready()
        self.begin()

    def _say(self, word):
        self._popen.stdin.write(f"{word}\n")
        self._popen.stdin.flush()

    def tell_stop(self):
        self._say("stop")

    def summary(self):
        """Return what became of its callers, after `tell_stop`."""
        told = self._hear()
        assert told, self.complaints()
        assert self._popen.wait(PATIENCE) == 0, self.complaints()
        return json.loads(told)

    def complaints(self):
        """Return what it wrote to stderr."""
        self._log.seek(0)
        return self._log.read()

    def freeze(self):
        os.kill(self._popen.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self._popen.pid, signal.SIGCONT)

    def kill(self):
        self._popen.kill()
        self._popen.wait()

    def close(self):
        self.kill()
        self._popen.stdin.close()
        self._popen.stdout.close()


class Fleet:
    """Processes of one account.

    Args:
        stack: Ends them.
        job: What they have in common; `worker` and `colour` are filled in.
        colours: One for each process.
    """

    def __init__(self, stack, job, colours):
        self.processes = []
        self._stack = stack
        self._job = job
        self._killed = []
        for colour in colours:
            self.add(colour)

    def add(self, colour):
        """Start a process, and return it."""
        log = self._stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 - the stack closes it
        process = Process(replace(self._job, worker=f"{colour}-{next(_numbers)}", colour=colour), log)
        self._stack.callback(process.close)
        self.processes.append(process)
        return process

    def begin(self):
        for process in self.processes:
            process.wait_ready()
        for process in self.processes:
            process.begin()

    def kill(self, process):
        """Kill a process at once, as the out-of-memory killer does."""
        process.kill()
        self.processes.remove(process)
        self._killed.append(process)

    def stop(self):
        """Let the processes end by themselves; return their summaries, by name."""
        for process in self.processes:
            process.tell_stop()
        return {process.worker: process.summary() for process in self.processes}

    def complaints(self):
        """Return all that was written to stderr."""
        return "".join(process.complaints() for process in [*self.processes, *self._killed])


@contextmanager
def fleet(at, redis, colours=("sync", "async", "sync", "async"), **job):
    """Start processes that share an account at a provider; nothing is called before `begin`."""
    with ExitStack() as stack:
        common = Job(worker="", colour="", api=at.url, key=KEY, redis=redis, **job)
        yield Fleet(stack, common, colours)


def in_background(run):
    """Run a function in a thread; return what waits for it and returns its result, or raises its error."""
    outcome = []

    def target():
        try:
            outcome.append((run(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            outcome.append((None, error))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def join(timeout=30.0):
        thread.join(timeout)
        assert outcome, f"still running after {timeout} s"
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    return join
