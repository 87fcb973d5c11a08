"""Event loops that end, processes that fork and exit, guards made at import: nothing hangs, raises or leaks."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

from admission import AsyncGuard, Closed, ConfigurationError, Guard, MemoryLedger, Policy, clerk
from admission.process import PerProcess
from tests.guards.colours import COLOURS, LOOK, Tasks, Threads, finish
from tests.guards.forks import in_child, needs_fork
from tests.guards.stage import Provider, Stage
from tests.waiting import wait_until

# Making a guard


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
def test_making_a_guard_does_nothing(kind):
    class Untouchable(Provider):
        def __getattribute__(self, name):
            assert name in {"fetch", "afetch", "account", "timeout", "rejected", "__class__"}, name
            return super().__getattribute__(name)

    class Ledger(MemoryLedger):
        def clerk(self):
            raise AssertionError("used")

    source = object.__new__(Untouchable)
    threads = threading.active_count()
    guard = kind(source, Ledger(), account="acme", policy=Policy())
    guard.hold(timeout=3)
    guard.place(track=True)
    assert "acme" in repr(guard)
    assert threading.active_count() == threads


def test_a_guard_that_is_forgotten_is_collected():
    stage = Stage(Threads())
    (finish(stage.guard.acquire())).cancel()
    finish(stage.guard.close())
    guard = weakref.ref(stage.guard.guard)
    del stage
    wait_until(lambda: gc.collect() is not None and guard() is None)


# Event loops


def test_one_async_guard_serves_one_event_loop_after_another():
    stage = Stage(Tasks(), 2)

    async def scenario():
        async with stage.guard.hold() as reservation:
            await stage.pass_time(3)
        reservation = await stage.guard.acquire(timeout=5)
        reservation.cancel()
        return await stage.read()

    for _ in range(4):
        assert asyncio.run(scenario()).limit == 2
        asyncio.run(stage.pass_time(3))
    assert stage.provider.readings >= 4


def test_a_loop_that_ended_in_the_middle_of_a_reading_does_not_keep_the_next_one_from_it():
    stage = Stage(Tasks(), 1)
    stage.provider.gate.clear()

    async def ends_early():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.guard.acquire(), 0.05)

    asyncio.run(ends_early())
    stage.provider.gate.set()

    async def goes_on():
        job = stage.start(stage.guard.acquire(timeout=60))
        (await stage.outcome(job)).cancel()

    asyncio.run(goes_on())
    assert stage.provider.under_way == 0


def test_who_waits_in_one_loop_gets_readings_though_another_loop_asked_last_and_ended():
    stage = Stage(Tasks(), 0)
    watcher = stage.another(Threads()).guard
    done = threading.Event()

    async def wait():
        async with stage.guard.hold():
            done.set()

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    wait_until(lambda: watcher.status().waiting == 1)
    asyncio.run(stage.guard.status())
    stage.provider.limit = 1

    def admitted():
        stage.clock.advance(0.25)
        return done.is_set()

    wait_until(admitted)
    thread.join()


def test_who_waits_in_one_loop_gets_readings_though_another_loop_asked_last_and_stands_still():
    stage = Stage(Tasks(), 0)
    watcher = stage.another(Threads()).guard
    done = threading.Event()

    async def wait():
        async with stage.guard.hold():
            done.set()

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    wait_until(lambda: watcher.status().waiting == 1)
    with asyncio.Runner() as runner:
        runner.run(stage.guard.status())
        stage.provider.limit = 1

        def admitted():
            stage.clock.advance(0.25)
            return done.is_set()

        wait_until(admitted)
    thread.join()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_callers_of_a_new_loop_are_served_though_a_caller_of_a_closed_one_is_still_referred_to():
    stage = Stage(Tasks(), 1)
    watcher = stage.another(Threads()).guard
    holder = watcher.acquire(timeout=0)
    loop = asyncio.new_event_loop()
    task = loop.create_task(stage.guard.acquire())
    loop.run_until_complete(stage.waiting(1))
    loop.close()

    async def goes_on():
        job = stage.start(stage.guard.acquire(timeout=60))
        await stage.waiting(2)
        holder.cancel()
        (await stage.outcome(job)).cancel()

    asyncio.run(goes_on())
    task._log_destroy_pending = False
    watcher.close()


def test_reservations_may_be_left_after_their_loop_is_closed():
    stage = Stage(Tasks(), 2)
    watcher = stage.another(Threads()).guard

    async def claim():
        block = stage.guard.place()
        await block.__aenter__()
        return await stage.guard.acquire(timeout=1), block

    reservation, block = asyncio.run(claim())
    reservation.ended()
    with pytest.raises(StopIteration):
        block.__aexit__(None, None, None).send(None)
    wait_until(lambda: watcher.status().in_use == 1)
    watcher.close()


def test_many_loops_in_many_threads_share_one_async_guard():
    stage = Stage(Tasks(), 3)
    served = []

    async def work():
        for _ in range(10):
            async with stage.guard.hold() as reservation:
                await asyncio.sleep(0)
                reservation.ended()
                served.append(reservation.id)

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(served)) == 80
    assert asyncio.run(stage.claimable()) == 3


def test_a_plain_guard_may_be_used_inside_an_event_loop():
    stage = Stage(Threads(), 2)

    async def scenario():
        with stage.guard.guard.hold() as reservation:
            reservation.ended()
        await asyncio.to_thread(lambda: stage.guard.guard.acquire(timeout=5).cancel())

    asyncio.run(scenario())
    assert finish(stage.claimable()) == 2


# Fork


@needs_fork
@pytest.mark.parametrize("colour", COLOURS)
def test_a_memory_ledger_is_refused_in_a_forked_child_with_both_pids(colour):
    stage = Stage(colour, 2)
    colour.run(stage.guard.status())
    unused = stage.another(colour)

    def use(coroutine):
        try:
            colour.run(coroutine)
        except ConfigurationError as error:
            return f"{os.getpid()} {error}"
        return "used"

    for ask in (
        lambda: stage.guard.acquire(timeout=0),
        stage.guard.status,
        lambda: unused.acquire(timeout=0),
    ):
        answer = in_child(lambda ask=ask: use(ask()))
        child, _, text = answer.partition(" ")
        assert f"belongs to process {os.getpid()}" in text
        assert f"used in process {child}" in text
        assert "RedisLedger" in text
    colour.run(stage.guard.close())


@needs_fork
@pytest.mark.parametrize("kind", ["hold", "place"])
@pytest.mark.parametrize("error", [None, ValueError])
def test_leaving_a_block_in_a_forked_child_does_nothing(kind, error):
    stage = Stage(Threads(), 2)
    guard = stage.guard.guard
    block = getattr(guard, kind)()
    reservation = block.__enter__()
    other = guard.acquire(timeout=1)

    def leave():
        reservation.placed("call-1")
        reservation.ended()
        reservation.cancel()
        other.release()
        block.__exit__(error, None if error is None else error(), None)
        guard.close()
        return f"{reservation.call_id} {threading.active_count()}"

    assert in_child(leave) == "None 1"
    assert guard.status().pending == 2
    other.cancel()
    reservation.cancel()
    block.__exit__(None, None, None)
    assert guard.status().in_use == 0
    guard.close()


@needs_fork
def test_a_reservation_forgotten_in_a_forked_child_is_not_left_there():
    stage = Stage(Threads(), 1)
    guard = stage.guard.guard
    kept = [guard.acquire()]

    def forget():
        kept.clear()
        gc.collect()
        return "forgotten"

    assert in_child(forget) == "forgotten"
    assert guard.status().pending == 1
    kept.pop().cancel()
    guard.close()


@needs_fork
def test_a_memory_ledger_made_after_the_fork_serves_the_child():
    stage = Stage(Threads(), 1)
    finish(stage.guard.status())

    def use():
        mine = Stage(Threads(), 3)
        return finish(mine.claimable())

    assert in_child(use) == "3"
    finish(stage.guard.close())


@needs_fork
def test_a_guard_made_before_the_fork_serves_the_parent_after_it():
    stage = Stage(Threads(), 3)
    assert in_child(lambda: "nothing") == "nothing"
    assert finish(stage.claimable()) == 3
    assert in_child(lambda: "nothing") == "nothing"
    assert finish(stage.claimable()) == 3
    finish(stage.guard.close())


class LedgerOfEach:
    """A ledger in memory that may be used on both sides of a fork, where it is another one."""

    def __init__(self):
        self._ledgers = PerProcess(MemoryLedger)

    def clerk(self):
        return self._ledgers.get().clerk()


@needs_fork
def test_no_reading_of_a_forked_child_is_left_to_a_loop_of_its_parent():
    provider = Provider(1)
    provider.timeout = 20.0  # what a reading that nobody takes would have the child wait for
    guard = AsyncGuard(provider, LedgerOfEach(), account="acme")

    async def read():
        return [(await guard.refresh()).limit for _ in range(4)]

    async def scenario():
        async with guard.hold():
            waiting = asyncio.create_task(guard.acquire())
            while not (await guard.status()).waiting:
                await asyncio.sleep(LOOK)
            # The loop that runs here has a caller, so it would be asked first.
            assert in_child(lambda: asyncio.run(read())) == "[1, 1, 1, 1]"
            assert (await guard.refresh()).limit == 1
            waiting.cancel()
        await guard.close()

    asyncio.run(scenario())


@needs_fork
def test_a_forked_child_leaves_at_its_exit_what_is_its_parents_to_deliver(monkeypatch):
    stage = Stage(Threads(), 1)
    held = [stage.guard.guard.acquire()]  # its clerk goes on
    drained = []
    monkeypatch.setattr(clerk.Clerk, "drain", lambda self, _: drained.append(self) or 0)

    def leave():
        clerk._drain_at_exit()
        unused = len(drained)
        mine = Stage(Threads(), 1)
        held.append(mine.guard.guard.acquire())
        clerk._drain_at_exit()
        return f"{unused} {[one is mine.ledger.clerk() for one in drained]}"

    assert in_child(leave) == "0 [True]"
    clerk._drain_at_exit()
    assert stage.ledger.clerk() in drained
    held.pop().cancel()
    stage.guard.guard.close()


# The interpreter's exit


PRELUDE = """
import asyncio, sys, threading
from admission import AsyncGuard, Guard, MemoryLedger, Policy, Usage

class Source:
    def fetch(self):
        return Usage(1, 0)
    async def afetch(self):
        return self.fetch()

def wait_until(condition):
    while not condition():
        threading.Event().wait(0.005)

guard = Guard(Source(), account="acme")
"""

EXITS = {
    "a guard that was never used": "",
    "a guard that was never closed": "guard.acquire().release()",
    "a guard with hooks that was never closed": """
        from admission.hooks import Sampled
        seen = []
        guard = Guard(Source(), account="acme", hooks=[seen.append])
        guard.acquire().release()
        wait_until(lambda: [event for event in seen if isinstance(event, Sampled)])
        """,
    "an open block": "block = guard.hold(); block.__enter__()",
    "a forgotten reservation": "guard.acquire()",
    "threads that wait": """
        holder = guard.acquire()
        for _ in range(5):
            threading.Thread(target=guard.acquire, daemon=True).start()
        wait_until(lambda: guard.status().waiting == 5)
        """,
    "an exit in the middle of a block": """
        with guard.hold():
            sys.exit(0)
        """,
    "tasks that wait": """
        async def main():
            tasks = [asyncio.create_task(aguard.acquire()) for _ in range(5)]
            while (await aguard.status()).waiting < 4:
                await asyncio.sleep(0.005)
        aguard = AsyncGuard(Source(), account="acme")
        asyncio.run(main())
        """,
    "a source that hangs": """
        class Hangs(Source):
            def fetch(self):
                threading.Event().wait()
        guard = Guard(Hangs(), account="acme")
        threading.Thread(target=guard.acquire, daemon=True).start()
        wait_until(lambda: guard.status().waiting == 1)
        """,
}


@pytest.mark.parametrize("name", EXITS)
def test_the_interpreters_exit_does_not_hang_or_complain(name):
    code = PRELUDE + textwrap.dedent(EXITS[name]) + "\nprint('done')\n"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


READING_AT_EXIT = """
import sys, threading
import admission.guard
from admission import AdmissionError, Guard, Policy, Usage

begun = threading.Event()
if {seconds} < 1:
    admission.guard.LAST_READING = 20  # on a busy machine it takes that long

class Slow:
    timeout = 5.0

    def fetch(self):
        begun.set()
        threading.Event().wait({seconds})
        print("the reading ended", flush=True)
        return Usage(1, 0)

    async def afetch(self):
        raise NotImplementedError

guard = Guard(Slow(), account="acme")
try:
    guard.acquire(timeout=0.01)
except AdmissionError:
    begun.wait(10)
"""


@pytest.mark.parametrize(("seconds", "said"), [(0.3, "the reading ended\n"), (60, "")])
def test_the_interpreters_exit_waits_a_moment_for_a_reading(seconds, said):
    code = READING_AT_EXIT.format(seconds=seconds)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, said, "")


def test_a_guard_made_at_import_serves_every_thread_of_the_program(tmp_path, monkeypatch):
    (tmp_path / "dialers_of_a_test.py").write_text(
        textwrap.dedent(
            """
            from admission import AsyncGuard, Guard, Usage

            class Source:
                def fetch(self):
                    return Usage(2, 0)
                async def afetch(self):
                    return self.fetch()

            guard = Guard(Source(), account="acme")
            aguard = AsyncGuard(Source(), account="acme")

            @guard.place()
            def dial(number):
                return number

            @aguard.place()
            async def adial(number):
                return number
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import dialers_of_a_test

    assert dialers_of_a_test.dial(1) == 1
    assert asyncio.run(dialers_of_a_test.adial(2)) == 2
    dialers_of_a_test.guard.close()
    asyncio.run(dialers_of_a_test.aguard.close())
    with pytest.raises(Closed):
        dialers_of_a_test.dial(1)


def test_no_two_guards_of_a_process_have_one_name():
    ledger = MemoryLedger()
    guards = [Guard(Provider(1), ledger, account="acme") for _ in range(20_000)]
    assert len({guard._my_desk().process for guard in guards}) == len(guards)
