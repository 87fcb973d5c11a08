"""Which errors hand a job back, after how long, and how the decorators are used; all in one process."""

import functools
import importlib
import inspect
import logging
import queue
import subprocess
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import celery
import dramatiq
import pytest
import redis
import rq
from arq import Retry
from celery.contrib.testing.worker import start_worker
from celery.exceptions import SoftTimeLimitExceeded
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import CurrentMessage, Middleware, Pipelines, SkipMessage
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import StubBackend
from rq.decorators import job as rq_job

from admission import (
    AsyncGuard,
    CallRejected,
    ConfigurationError,
    Guard,
    Lane,
    NotPlaced,
    Paused,
    Policy,
    Saturated,
    Usage,
    UsageError,
    UsageUnavailable,
    current_reservation,
)
from admission.integrations import arq as on_arq
from admission.integrations import celery as on_celery
from admission.integrations import dramatiq as on_dramatiq
from admission.integrations import handback
from admission.integrations import rq as on_rq
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ledger_has_time")

MODULES = {"celery": on_celery, "rq": on_rq, "arq": on_arq, "dramatiq": on_dramatiq}
PLAIN = {name: module for name, module in MODULES.items() if name != "arq"}
POLICY = Policy(refresh_interval=0.05, visibility_lag=0.0)


class Source:
    """An account with one line, which is free, or what the test says."""

    timeout = 5.0
    error = None
    count = 0

    def fetch(self):
        if self.error is not None:
            raise self.error
        return Usage(1, self.count)

    async def afetch(self):
        return self.fetch()


@pytest.fixture
def source():
    return Source()


@contextmanager
def guarding(source, of=Guard, **more):
    guard = of(source, account="queues", policy=POLICY, **more)
    try:
        yield guard
    finally:
        guard.close() if of is Guard else None


@pytest.fixture
def guard(source):
    with guarding(source) as one:
        yield one


def celery_app():
    app = celery.Celery("queues", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.broker_transport_options = {"polling_interval": 0.02}
    return app


class Job:
    """A job whose hand-backs are noted."""

    def __init__(self, guard, fn, *, wait=0.0, **place):
        self.delays = []
        self.ran = 0
        self._fn = fn
        jobs = handback.jobs_of(guard, place, lane="default", wait=wait, hand_back=self._hand_back)
        self.call = jobs(self._run)

    def _run(self):
        self.ran += 1
        return self._fn()

    def _hand_back(self, _fn, error, delay):
        self.delays.append(delay)
        return error


def raising(error):
    def fn():
        raise error

    return fn


def test_a_job_that_gets_a_slot_runs_and_returns(guard):
    job = Job(guard, lambda: "call-1")
    assert job.call() == "call-1"
    assert job.delays == []


@pytest.mark.parametrize("wait", [0.0, 0.1])
def test_a_job_without_a_slot_is_handed_back_after_the_time_that_the_guard_tells(guard, source, wait):
    source.count = 1
    job = Job(guard, lambda: "call-1", wait=wait)
    error = job.call()
    assert isinstance(error, Saturated)
    assert job.ran == 0
    (delay,) = job.delays
    assert error.retry_after <= delay <= handback.SPREAD * error.retry_after


def test_jobs_that_are_refused_together_come_back_apart(guard, source):
    source.count = 1
    job = Job(guard, lambda: None)
    for _ in range(10):
        job.call()
    assert len(set(job.delays)) > 1


def test_an_account_that_is_paused_hands_jobs_back(guard):
    guard.pause("no agents")
    job = Job(guard, lambda: None)
    assert isinstance(job.call(), Paused)


def test_a_provider_that_cannot_be_read_hands_jobs_back(guard, source):
    source.error = UsageError("no answer")
    job = Job(guard, lambda: None, wait=0.1)
    assert isinstance(job.call(), UsageUnavailable)
    assert len(job.delays) == 1


def test_a_guard_that_is_closed_hands_jobs_back(guard):
    job = Job(guard, lambda: None)
    guard.close()
    job.call()
    assert len(job.delays) == 1
    assert job.ran == 0


def test_a_refusal_by_the_provider_hands_the_job_back_after_the_time_that_it_asks_for(guard):
    refusal = CallRejected(7.0)
    job = Job(guard, raising(refusal), retry=False)
    assert job.call() is refusal
    assert job.ran == 1
    assert 7.0 <= job.delays[0] <= 7.0 * handback.SPREAD


def test_no_delay_is_longer_than_the_longest(guard):
    job = Job(guard, raising(CallRejected(4000.0)), retry=False)
    job.call()
    assert job.delays[0] <= handback.LONGEST * handback.SPREAD


def test_what_the_caller_knows_as_a_refusal_hands_the_job_back(guard):
    job = Job(guard, raising(OSError("busy here")), retry=False, rejected=lambda error: isinstance(error, OSError))
    assert isinstance(job.call(), OSError)
    assert len(job.delays) == 1


def test_a_job_that_is_refused_runs_again_within_its_wait(guard):
    answers = iter([CallRejected(0.0), None])

    def fn():
        answer = next(answers)
        if answer is not None:
            raise answer
        return "call-1"

    job = Job(guard, fn, wait=10.0)
    assert job.call() == "call-1"
    assert (job.ran, job.delays) == (2, [])


class Interrupted(BaseException):
    """As Dramatiq's time limit, and its shutdown."""


@pytest.mark.parametrize("interrupt", [Interrupted, KeyboardInterrupt, SystemExit])
def test_what_comes_at_a_jobs_end_takes_no_place_of_its_answer(guard, monkeypatch, interrupt):
    with monkeypatch.context() as patch:

        def fn():
            patch.setattr(guard, "_run", lambda *_: raising(interrupt)())
            return "call-1"

        job = Job(guard, fn)
        if interrupt is Interrupted:
            assert job.call() == "call-1"
        else:
            with pytest.raises(interrupt):
                job.call()


def test_a_jobs_end_waits_a_second_at_most_for_a_ledger_that_is_silent(guard, monkeypatch):
    waited = []

    def run(plan, _box):
        next(plan)
        wait = plan.send((100.0, None))
        waited.append(wait.until - 100.0)
        plan.send((wait.until, None))

    with monkeypatch.context() as patch:

        def fn():
            patch.setattr(guard, "_run", run)
            return "call-1"

        assert Job(guard, fn).call() == "call-1"
    assert waited == [1.0]


class Away:
    """A queue that is away so many times, as one looks by a clock that `sleep` alone moves."""

    def __init__(self, monkeypatch, times):
        self.sent = []
        self.slept = 0.0
        self._times = times
        monkeypatch.setattr(handback, "time", SimpleNamespace(monotonic=lambda: self.slept, sleep=self._sleep))

    def _sleep(self, seconds):
        self.slept += seconds

    def send(self, error):
        """Return what sends, and raises the error while the queue is away."""

        def send(*args, **kwargs):
            self._times -= 1
            if self._times >= 0:
                raise error
            self.sent.append((args, kwargs))

        return send


def test_a_hand_back_is_tried_again_while_the_queue_is_away_though_not_for_ever(monkeypatch):
    away = Away(monkeypatch, 20)
    handback.insist(away.send(OSError()), OSError)
    assert len(away.sent) == 1
    away = Away(monkeypatch, 1000)
    with pytest.raises(OSError, match="gone"):
        handback.insist(away.send(OSError("gone")), OSError)
    assert away.slept == handback.LONGEST
    away = Away(monkeypatch, 1)
    with pytest.raises(SoftTimeLimitExceeded):
        handback.insist(away.send(SoftTimeLimitExceeded()), celery.exceptions.OperationalError)
    assert away.slept == 0


def test_a_celery_task_is_handed_back_when_its_broker_is_there_again(guard, source, monkeypatch):
    source.count = 1
    app = celery_app()

    @app.task(shared=False)
    @on_celery.admitted(guard, wait=0)
    def dial(contact):
        return contact

    away = Away(monkeypatch, 3)
    monkeypatch.setattr(on_celery, "current_task", dial)
    monkeypatch.setattr(dial, "apply_async", away.send(celery.exceptions.OperationalError()))
    dial.push_request(id="1", args=["a"], kwargs={}, called_directly=False, is_eager=False)
    try:
        with pytest.raises(celery.exceptions.Retry):
            dial.run("a")
    finally:
        dial.pop_request()
    assert len(away.sent) == 1


def test_a_dramatiq_message_is_handed_back_when_its_broker_is_there_again(guard, source, monkeypatch):
    source.count = 1
    broker = StubBroker(middleware=[CurrentMessage()])
    dramatiq.set_broker(broker)

    @dramatiq.actor
    @on_dramatiq.admitted(guard, wait=0)
    def dial(contact):
        return contact

    away = Away(monkeypatch, 3)
    monkeypatch.setattr(broker, "enqueue", away.send(redis.ConnectionError()))
    monkeypatch.setattr(CurrentMessage, "get_current_message", lambda: dial.message("a"))
    with pytest.raises(SkipMessage):
        dial("a")
    assert len(away.sent) == 1


def placed_and_refused():
    current_reservation().placed("call-1")
    raise CallRejected


def saturated_elsewhere():
    raise Saturated("another guard's", limit=1, in_use=1, waited=0.0, position=0, retry_after=1.0)


@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (raising(ValueError("a bug")), ValueError),
        (raising(NotPlaced()), NotPlaced),
        (raising(KeyboardInterrupt()), KeyboardInterrupt),
        (placed_and_refused, CallRejected),
        (saturated_elsewhere, Saturated),
    ],
)
def test_what_the_job_itself_raises_is_its_own_since_it_may_have_dialled(guard, fn, error):
    job = Job(guard, fn)
    with pytest.raises(error):
        job.call()
    assert (job.ran, job.delays) == (1, [])


def test_an_error_of_its_own_after_a_refusal_is_its_own_too(guard):
    answers = iter([CallRejected(0.0), ValueError("a bug")])

    def fn():
        raise next(answers)

    job = Job(guard, fn, wait=10.0)
    with pytest.raises(ValueError, match="a bug"):
        job.call()
    assert job.delays == []


def test_a_wrong_key_fails_loudly(guard, source):
    source.error = ConfigurationError("the key is wrong", status=401)
    job = Job(guard, lambda: None, wait=5.0)
    with pytest.raises(ConfigurationError, match="key"):
        job.call()
    assert job.delays == []


@pytest.mark.parametrize("name", PLAIN)
def test_outside_of_a_worker_the_refusal_is_raised(guard, source, name):
    source.count = 1
    dramatiq.set_broker(StubBroker(middleware=[CurrentMessage()]))

    @PLAIN[name].admitted(guard, wait=0)
    def dial(contact):
        return contact

    with pytest.raises(Saturated):
        dial("a")


@pytest.fixture
async def dial_on_arq(source):
    """The function of an arq job, which finds its account full."""
    source.count = 1
    async with AsyncGuard(source, account="queues", policy=POLICY) as guard:

        @on_arq.admitted(guard, wait=0)
        async def dial(ctx, contact):
            return contact

        yield dial


async def test_outside_of_an_arq_worker_the_refusal_is_raised(dial_on_arq):
    with pytest.raises(Saturated):
        await dial_on_arq({}, "a")


def test_an_rq_job_is_handed_back_by_its_own_function_alone(guard, source, monkeypatch):
    source.count = 1
    job = SimpleNamespace(worker_name="a worker")
    monkeypatch.setattr(on_rq, "get_current_job", lambda: job)

    class Dialer:
        @on_rq.admitted(guard, wait=0)
        def dial(self, contact):
            return contact

    @on_rq.admitted(guard, wait=0)
    def dial(contact):
        return contact

    @functools.wraps(dial)
    def counted(contact):
        return dial(contact)

    dialer, bound = Dialer(), functools.partial(dial, "a")
    for job.func in dial, counted, bound, bound.__call__:
        assert isinstance(dial("a"), rq.Retry)
    job.func = dialer.dial
    assert isinstance(dialer.dial("a"), rq.Retry)
    with pytest.raises(Saturated):
        dial("a")


def test_an_rq_queue_that_runs_its_jobs_itself_raises_the_refusal(guard, source, monkeypatch, server):
    source.count = 1

    @on_rq.admitted(guard, wait=0)
    def dial(contact):
        return contact

    dial.__module__, dial.__qualname__ = __name__, "dial_of_rq"
    monkeypatch.setattr(sys.modules[__name__], "dial_of_rq", dial, raising=False)
    with server.client() as client:
        client.flushall()
        job = rq.Queue(connection=client, is_async=False).enqueue(dial, "a")
        assert job.is_failed
        assert "Saturated" in job.latest_result().exc_string


class Counts:
    """The part of a Redis where arq counts tries."""

    def __init__(self):
        self.taken = []

    async def decr(self, key):
        self.taken.append(key)


class NoCounts:
    """The same of one that is away."""

    async def decr(self, _key):
        raise redis.ConnectionError


@pytest.mark.parametrize("error", [None, CallRejected(2.0), ValueError("a bug"), NotPlaced()])
async def test_an_arq_job_is_deferred_without_counting_its_try(source, error):
    async with AsyncGuard(source, account="queues", policy=POLICY) as guard:

        @on_arq.admitted(guard, wait=5, retry=False)
        async def dial(ctx, contact):
            if error is not None:
                raise error
            return f"call-{contact}"

        ctx = {"job_id": "1", "redis": Counts()}
        if error is None:
            assert await dial(ctx, "a") == "call-a"
        elif isinstance(error, CallRejected):
            with pytest.raises(Retry) as told:
                await dial(ctx, "a")
            assert 2000 <= told.value.defer_score <= 2000 * handback.SPREAD
        else:
            with pytest.raises(type(error)):
                await dial(ctx, "a")
        assert ctx["redis"].taken == (["arq:retry:1"] if isinstance(error, CallRejected) else [])


async def test_a_method_is_deferred_as_an_arq_job_too(source):
    source.count = 1
    async with AsyncGuard(source, account="queues", policy=POLICY) as guard:

        class Dialer:
            @on_arq.admitted(guard, wait=0)
            async def dial(self, ctx, contact):
                return contact

        ctx = {"job_id": "1", "redis": Counts()}
        with pytest.raises(Retry):
            await Dialer().dial(ctx, "a")
        assert ctx["redis"].taken == ["arq:retry:1"]


async def test_an_arq_job_is_deferred_also_when_its_try_cannot_be_taken_off(dial_on_arq):
    with pytest.raises(Retry):
        await dial_on_arq({"job_id": "1", "redis": NoCounts()}, "a")


async def test_an_arq_job_is_not_handed_back_by_another_that_it_calls(source):
    async with AsyncGuard(source, account="queues", policy=POLICY) as guard:

        @on_arq.admitted(guard, wait=0)
        async def inner(ctx, contact):
            return contact

        @on_arq.admitted(guard, wait=5)
        async def outer(ctx, contact):
            return await inner(ctx, contact)

        ctx = {"job_id": "1", "redis": Counts()}
        with pytest.raises(Saturated):
            await outer(ctx, "a")
        assert ctx["redis"].taken == []
        source.count = 1
        with pytest.raises(Retry):
            await inner(ctx, "a")


@pytest.mark.parametrize("name", PLAIN)
def test_what_place_takes_is_passed_on(source, name):
    with guarding(source, lanes=[Lane("bulk", max_in_flight=1)]) as guard:

        @PLAIN[name].admitted(guard, lane="bulk", wait=5, track=True, call_id=lambda answer: answer)
        def dial(contact):
            return f"call-{contact}"

        assert dial("a") == "call-a"
        lanes = {lane.name: lane.in_flight for lane in guard.status().lanes}
        assert lanes["bulk"] == 1
        guard.call_ended("call-a")
        assert {lane.name: lane.in_flight for lane in guard.status().lanes}["bulk"] == 0


def test_the_four_decorators_take_the_same():
    signatures = [inspect.signature(module.admitted) for module in MODULES.values()]
    taken = [[(p.name, p.kind, p.default) for p in signature.parameters.values()] for signature in signatures]
    assert all(one == taken[0] for one in taken)


@pytest.mark.parametrize("name", MODULES)
def test_wrong_uses_are_refused_with_the_mend(source, name):
    admitted = MODULES[name].admitted
    with guarding(source) as plain, guarding(source, AsyncGuard) as awaited:
        right, wrong = (awaited, plain) if name == "arq" else (plain, awaited)

        def dial(contact):
            return contact

        async def adial(ctx, contact):
            return contact

        with pytest.raises(ConfigurationError, match="the guard comes first"):
            admitted(dial)
        with pytest.raises(ConfigurationError, match="hands the job back"):
            admitted(right, wait=None)
        with pytest.raises(ConfigurationError, match="take an? (Async)?Guard"):
            admitted(right)(dial if name == "arq" else adial)
        with pytest.raises(ConfigurationError, match="take an? (Async)?Guard"):
            admitted(wrong)(adial if name == "arq" else dial)


def test_the_wrong_order_of_decorators_is_refused_with_the_mend(guard):
    app = celery_app()
    broker = StubBroker(middleware=[])

    def dial(contact):
        return contact

    with pytest.raises(ConfigurationError, match=r"below @app\.task"):
        on_celery.admitted(guard)(app.task(dial, shared=False))
    with pytest.raises(ConfigurationError, match="below @job"):
        on_rq.admitted(guard)(rq_job("default", connection=object())(dial))
    with pytest.raises(ConfigurationError, match=r"below @dramatiq\.actor"):
        on_dramatiq.admitted(guard)(dramatiq.actor(broker=broker)(dial))


def test_a_celery_task_that_runs_in_place_raises_the_refusal(guard, source):
    source.count = 1
    app = celery_app()

    @app.task(shared=False)
    @on_celery.admitted(guard, wait=0)
    def dial(contact):
        return contact

    assert isinstance(dial.apply(args=["a"]).result, Saturated)


@pytest.fixture
def logging_kept():
    """What Celery's worker sets up for its process is not for the tests that follow in this one."""
    root = logging.getLogger()
    former = root.level, root.handlers[:]
    yield
    root.handlers[:] = former[1]
    root.setLevel(former[0])


@pytest.mark.usefixtures("logging_kept")
def test_a_celery_chain_goes_on_once_after_its_task_was_handed_back(guard, source):
    source.count = 1
    app = celery_app()
    told, retries, runs = [], [], threading.Semaphore(0)

    def place(*args):
        return f"call-{args[-1]}"

    def note(answer):
        told.append(answer)

    admit = on_celery.admitted(guard, wait=0)(place)

    def counted(*args):
        runs.release()
        retries.append(celery.current_task.request.retries)
        return admit(*args)

    dial = app.task(counted, bind=True, max_retries=0, shared=False)
    tell = app.task(note, shared=False)
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        celery.chain(dial.s("a"), tell.s()).delay()
        for _ in range(3):
            assert runs.acquire(timeout=30)
        source.count = 0
        wait_until(lambda: told, 30)
    assert told == ["call-a"]
    assert set(retries) == {0}


@contextmanager
def working(broker):
    worker = dramatiq.Worker(broker, worker_timeout=20, worker_threads=1)
    worker.start()
    try:
        yield
    finally:
        worker.stop()


class Skips(Middleware):
    """Notes whose messages were skipped."""

    def __init__(self, noted):
        self._noted = noted

    def after_skip_message(self, _broker, message):
        self._noted.put(message.actor_name)


def test_a_dramatiq_pipeline_goes_on_once_after_its_message_was_handed_back(guard, source):
    source.count = 1
    broker = StubBroker(middleware=[Pipelines(), CurrentMessage()])
    dramatiq.set_broker(broker)
    told, runs = [], threading.Semaphore(0)
    admit = on_dramatiq.admitted(guard, wait=0)(lambda contact: f"call-{contact}")

    @functools.wraps(admit, assigned=())
    def dial(contact):
        runs.release()
        return admit(contact)

    def tell(call_id):
        told.append(call_id)

    dial, tell = dramatiq.actor(dial), dramatiq.actor(tell)
    with working(broker):
        (dial.message("a") | tell.message()).run()
        for _ in range(3):
            assert runs.acquire(timeout=30)
        source.count = 0
        wait_until(lambda: told, 30)
    assert told == ["call-a"]


def test_a_dramatiq_message_has_no_result_before_the_run_that_places_the_call(guard, source):
    source.count = 1
    backend, skipped = StubBackend(), queue.SimpleQueue()
    # Middleware hears of what is over in the reverse order: the note comes when the result would be there.
    broker = StubBroker(middleware=[Skips(skipped), Results(backend=backend), CurrentMessage()])
    dramatiq.set_broker(broker)

    @dramatiq.actor(store_results=True)
    @on_dramatiq.admitted(guard, wait=0)
    def dial(contact):
        return f"call-{contact}"

    with working(broker):
        message = dial.send("a")
        assert skipped.get(timeout=30) == "dial"
        with pytest.raises(ResultMissing):
            backend.get_result(message)
        source.count = 0
        assert backend.get_result(message, block=True, timeout=30_000) == "call-a"


def test_a_dramatiq_message_is_handed_back_by_its_own_function_alone(guard, source):
    source.count = 1
    broker = StubBroker(middleware=[CurrentMessage()])
    dramatiq.set_broker(broker)
    told, runs = queue.SimpleQueue(), queue.SimpleQueue()
    admit = on_dramatiq.admitted(guard, wait=0)(lambda contact: f"call-{contact}")

    class Dial(dramatiq.GenericActor):
        @on_dramatiq.admitted(guard, wait=0)
        def perform(self, contact):
            return contact

    def outer(contact):
        try:
            admit(contact)
        finally:
            told.put(sys.exc_info()[0])

    broker.add_middleware(Skips(runs))
    outer = dramatiq.actor(outer)
    with working(broker):
        outer.send("a")
        assert told.get(timeout=30) is Saturated
        Dial.send("a")
        assert runs.get(timeout=30) == "Dial"


def test_a_broker_that_does_not_know_the_current_message_is_told_what_it_needs(guard, source):
    source.count = 1
    dramatiq.set_broker(StubBroker(middleware=[]))
    with pytest.raises(ConfigurationError, match=r"CurrentMessage\(\)"):
        on_dramatiq.admitted(guard, wait=0)(lambda: None)()


SNIPPET = """
from typing import assert_type

from admission import AsyncGuard, Guard, PureTalk
from admission.integrations.{name} import admitted

guard = {guard}(PureTalk("key"))
other = {other}(PureTalk("key"))


@admitted(guard, lane="bulk", wait=2.0, track=True, call_id=lambda answer: answer["id"], retry=False)
{colour}def dial(ctx: dict[str, object], contact: str, *, times: int = 1) -> dict[str, int]:
    return {{}}


async def uses() -> None:
    assert_type({awaits}dial({{}}, "a", times=2), dict[str, int])


dial({{}}, 5)  # ERROR
admitted(other)  # ERROR
admitted(guard, wait="2")  # ERROR
admitted(guard, wait=None)  # ERROR
admitted(guard, tracked=True)  # ERROR
"""


def test_a_type_checker_knows_what_the_decorators_take_and_return(tmp_path):
    paths = []
    for name in MODULES:
        words = {"guard": "Guard", "other": "AsyncGuard", "colour": "", "awaits": ""}
        if name == "arq":
            words = {"guard": "AsyncGuard", "other": "Guard", "colour": "async ", "awaits": "await "}
        paths.append(tmp_path / f"on_{name}.py")
        paths[-1].write_text(SNIPPET.format(name=name, **words))
    options = ["--strict", "--cache-dir", str(tmp_path), "--follow-imports=silent", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, *map(str, paths)]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    found = {tuple(line.split(":")[:2]) for line in out.stdout.splitlines() if ": error:" in line}
    lines = [number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# ERROR")]
    assert found == {(path.name, str(number)) for path in paths for number in lines}, out.stdout + out.stderr


@pytest.mark.parametrize("name", MODULES)
def test_every_module_tells_what_it_is(name):
    module = importlib.import_module(f"admission.integrations.{name}")
    assert inspect.getdoc(module)
    assert inspect.getdoc(module.admitted)
