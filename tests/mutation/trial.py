"""Runs tests on a mutant: in a process of its own, which has the changed file in its memory only.

The process is forked from one that has pytest and what the project depends on, but nothing of the project.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.mutation.mutant import HOME, Mutant

if TYPE_CHECKING:
    from tests.mutation.suites import Suite

ROOT = Path(__file__).parents[2]
"""The folder of the tests."""
PRELOADED = (
    "_pytest.assertion.rewrite", "asyncio", "httpx", "hypothesis.stateful", "pytest", "pytest_asyncio",
    "pytest_timeout", "redis.asyncio", "redis.cluster", "tenacity", "xdist.plugin",
)  # fmt: skip
MEMORY = 12 << 30
"""Bytes of addresses that a process, and each server that it starts, may have; a thread's stack takes 8 MB."""
OPTIONS = (
    "-q", "-x", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=line", "--assert=plain",
    "--hypothesis-seed=0",
)  # fmt: skip
CACHE = str(Path(tempfile.gettempdir(), f"admission-mutation-{os.getuid()}"))
"""Where compiled files are kept, none of them changed ones."""
BROKEN, UNSEEN = 70, 71
"""Exit codes: the script does not compile; the tests never looked at the changed file."""


class Trial(NamedTuple):
    """What became of one suite on one mutant.

    Attributes:
        verdict: `killed`, `timeout`, `survived`, `broken` (it does not compile), or `unseen` (the suite does not
            use the file).
        by: The test that failed first.
        seconds: How long it took.
    """

    verdict: str
    by: str
    seconds: float


def preload() -> None:
    """Import what every trial needs and is not the project's own."""
    for name in PRELOADED:
        importlib.import_module(name)


def try_out(mutant: Mutant | None, suite: Suite, server: str, patience: float) -> Trial:
    """Run a suite on a mutant, or on the files as they are, for `patience` seconds at most."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="admission-mutant-", ignore_cleanup_errors=True) as folder:
        process = multiprocessing.get_context("fork").Process(
            target=_run, args=(mutant, suite, server, patience, Path(folder))
        )
        process.start()
        process.join(patience)
        late = process.is_alive()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)  # with the servers that it has started
        process.join()
        seconds = time.monotonic() - began
        if late or (process.exitcode or 0) < 0:
            return Trial("timeout", "", seconds)
        report = Path(folder, "report")
        by = report.read_text() if report.exists() else ""
        verdicts = {0: "survived", BROKEN: "broken", UNSEEN: "unseen"}
        verdict = verdicts.get(process.exitcode or 0, "killed")
        if mutant is None and verdict != "survived":
            raise RuntimeError(f"{suite.name} fails without a mutant:\n{Path(folder, 'log').read_text()[-2000:]}")
        return Trial(verdict, by, seconds)


def _run(mutant: Mutant | None, suite: Suite, server: str, patience: float, folder: Path) -> None:
    """Be the process of a trial; its exit code is the verdict."""
    os.setpgid(0, 0)
    os.chdir(ROOT)
    os.environ["TMPDIR"] = str(folder)
    os.environ["ADMISSION_TRACES"] = str(suite.traces)
    tempfile.tempdir = None
    sys.dont_write_bytecode, sys.pycache_prefix = False, CACHE  # what is not changed is compiled once
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(patience), int(patience)))
    seen = _plant(mutant) if mutant else [True]
    _one_server(server)
    _no_memory_of_failures()
    if mutant and mutant.path.endswith(".lua") and not _compiles():
        os._exit(BROKEN)
    tests = [test.format(server=server) for test in suite.tests]
    code = int(importlib.import_module("pytest").main([*OPTIONS, *tests], plugins=[_Reporter(folder / "report")]))
    sys.stdout.flush()
    os._exit(code if code or seen else UNSEEN)


def _plant(mutant: Mutant) -> list[bool]:
    """Show the changed file to whoever reads or imports it from now on; the list is filled when somebody does."""
    path = HOME / mutant.path
    text = mutant.text()
    seen: list[bool] = []
    get_code, read_text = SourceFileLoader.get_code, Path.read_text

    def changed_code(self: SourceFileLoader, name: str) -> Any:
        if Path(self.path) != path:
            return get_code(self, name)
        seen.append(True)
        return compile(text, str(path), "exec", dont_inherit=True)

    def changed_text(self: Path, *args: Any, **more: Any) -> str:
        if self != path:
            return read_text(self, *args, **more)
        seen.append(True)
        return text

    SourceFileLoader.get_code = changed_code  # type: ignore[method-assign]
    Path.read_text = changed_text  # type: ignore[method-assign]
    return seen


def _one_server(server: str) -> None:
    """Let tests take one kind of server, not all that are at hand."""
    servers = importlib.import_module("tests.servers")
    servers.BINARIES = {server: servers.BINARIES[server]}
    start = servers._start

    def limited(*args: Any) -> Any:
        started = start(*args)
        resource.prlimit(started.process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        return started

    servers._start = limited


def _no_memory_of_failures() -> None:
    """Keep Hypothesis from remembering what failed on one mutant, and from making it shorter."""
    hypothesis = importlib.import_module("hypothesis")
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", database=None, phases=phases)
    hypothesis.settings.load_profile("mutation")


def _compiles() -> bool:
    servers = importlib.import_module("tests.servers")
    redis = importlib.import_module("redis")
    try:
        script = importlib.import_module("admission.ledger.scripts").SCRIPT
        with servers.redis_server() as server, server.client() as client:
            client.script_load(script.source)
    except (LookupError, redis.ResponseError):
        return False
    return True


class _Reporter:
    """A plugin that writes down which test failed first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._note(report)

    def pytest_collectreport(self, report: Any) -> None:
        self._note(report)

    def _note(self, report: Any) -> None:
        if report.failed and not self._path.exists():
            self._path.write_text(report.nodeid)
