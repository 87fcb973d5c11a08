"""Every misuse is refused early, by an error that says the mend."""

import asyncio
import functools
import math
from types import SimpleNamespace

import httpx
import pytest

from admission import (
    AdmissionError,
    AsyncGuard,
    ConfigurationError,
    Guard,
    Lane,
    Policy,
    PureTalk,
    Reservation,
    Saturated,
    Usage,
    current_reservation,
)
from admission.testing import FakePureTalk
from admission.testing.transport import transport
from tests.guards.colours import COLOURS, both_colours, finish
from tests.guards.stage import Provider, Stage

KEY = "pt-live-0123456789abcdef"


@pytest.fixture(params=[Guard, AsyncGuard])
def make(request):
    """A maker of guards of either colour."""

    def make(source=None, ledger=None, **settings):
        return request.param(Provider() if source is None else source, ledger, **({"account": "acme"} | settings))

    return make


@pytest.fixture(params=["hold", "place"])
def kind(request):
    return request.param


def plain():
    """Place a call."""


async def coroutine():
    """Place a call."""


class CallablePlain:
    def __call__(self):
        return 1


class CallableCoroutine:
    async def __call__(self):
        return 1


# Colours


@pytest.mark.parametrize("fn", [coroutine, CallableCoroutine(), CallableCoroutine().__call__])
def test_a_guard_refuses_coroutine_functions(kind, fn):
    guard = Guard(Provider(), account="acme")
    with pytest.raises(ConfigurationError, match="for a coroutine function take an AsyncGuard"):
        getattr(guard, kind)()(fn)


@pytest.mark.parametrize("fn", [plain, CallablePlain(), lambda lead: coroutine(), len])
def test_an_async_guard_refuses_plain_functions(kind, fn):
    guard = AsyncGuard(Provider(), account="acme")
    with pytest.raises(ConfigurationError, match="for a plain function take a Guard"):
        getattr(guard, kind)()(fn)


def wrapper_of(fn):
    """Return a plain function around another, as many decorators make them."""

    @functools.wraps(fn)
    def wrapper(*args):
        return fn(*args)

    return wrapper


UNRUN = {
    "coroutine": ("coroutine", coroutine, "take an AsyncGuard"),
    "callable coroutine": ("coroutine", functools.partial(CallableCoroutine()), "take an AsyncGuard"),
    "generator": ("generator", lambda: (yield 1), "use a with block inside it"),
    "async generator": ("async generator", lambda: async_generator(), "use a with block"),
}


@pytest.mark.parametrize("name", UNRUN)
def test_what_a_function_would_dial_after_it_has_returned_is_refused(kind, name):
    what, fn, mend = UNRUN[name]
    with Guard(Provider(), account="acme") as guard:
        dial = getattr(guard, kind)()(wrapper_of(fn))
        with pytest.raises(ConfigurationError, match=rf"returned a {what}, .*{mend}"):
            dial()
        # It may have dialled before it returned that.
        assert guard.status().pending == 1


@pytest.mark.parametrize("way", ["placed", "cancel"])
def test_a_function_that_said_what_became_of_its_dial_may_return_anything(way):
    with Guard(Provider(), account="acme") as guard:

        @guard.place()
        def dial():
            getattr(current_reservation(), way)()
            return (event for event in ("ringing", "over"))

        assert list(dial()) == ["ringing", "over"]


def test_a_plain_function_that_runs_a_coroutine_to_its_end_is_one(kind):
    async def one():
        return 1

    @functools.wraps(one)
    def run():
        return asyncio.run(one())

    with Guard(Provider(), account="acme") as guard:
        assert getattr(guard, kind)()(run)() == 1


def test_an_async_guard_says_what_to_do_with_a_plain_function_around_a_coroutine_function(kind):
    with pytest.raises(
        ConfigurationError, match=rf"make it `async def` .*put @guard\.{kind}\(\) below .*take a Guard if"
    ):
        getattr(AsyncGuard(Provider(), account="acme"), kind)()(wrapper_of(coroutine))


async def test_a_block_of_the_wrong_colour_is_refused_when_it_is_entered(kind):
    with (
        pytest.raises(ConfigurationError, match="belongs to an AsyncGuard: write `async with`"),
        getattr(AsyncGuard(Provider(), account="acme"), kind)(),
    ):
        pytest.fail("entered")
    with pytest.raises(ConfigurationError, match="belongs to a Guard: write `with`"):
        async with getattr(Guard(Provider(), account="acme"), kind)():
            pytest.fail("entered")


def test_a_decorated_function_keeps_its_colour(kind):
    sync_guard = Guard(Provider(), account="acme")
    async_guard = AsyncGuard(Provider(), account="acme")
    assert not asyncio.iscoroutinefunction(getattr(sync_guard, kind)()(plain))
    assert asyncio.iscoroutinefunction(getattr(async_guard, kind)()(coroutine))


# What cannot be decorated


def generator():
    yield 1


async def async_generator():
    yield 1


class CallableGenerator:
    def __call__(self):
        yield 1


class CallableAsyncGenerator:
    async def __call__(self):
        yield 1


class Dialer:
    def dial(self):
        """Place a call."""


def task():
    """Stand in for a Celery task."""


CELERY = SimpleNamespace(delay=print, apply_async=print, name="tasks.dial", run=task)
NOT_FUNCTIONS = {
    "generator": (generator, "cannot tell when a generator's call is over; use a with block inside it"),
    "async generator": (async_generator, "cannot tell when a generator's call is over; use a with block inside it"),
    "callable generator": (CallableGenerator(), "cannot tell when a generator's call is over"),
    "callable async generator": (CallableAsyncGenerator(), "cannot tell when a generator's call is over"),
    "class": (Dialer, "is for functions; decorate the method of Dialer that places the call"),
    "staticmethod": (staticmethod(plain), "below @staticmethod, next to the function"),
    "classmethod": (classmethod(plain), "below @classmethod, next to the function"),
    "Celery task": (CELERY, "below @app.task, so that the task's body is guarded and not its sending"),
    "text": ("dial", "is for functions, not for str"),
    "nothing": (None, "is for functions, not for NoneType"),
}


@pytest.mark.parametrize("name", NOT_FUNCTIONS)
def test_what_is_no_plain_function_is_refused_with_the_mend(make, kind, name):
    fn, mend = NOT_FUNCTIONS[name]
    with pytest.raises(ConfigurationError) as caught:
        getattr(make(), kind)()(fn)
    assert mend in str(caught.value)
    if "@guard" in str(caught.value):
        assert f"@guard.{kind}()" in str(caught.value)


def test_a_static_method_is_decorated_below_the_staticmethod():
    with Guard(Provider(limit=5), account="acme") as guard:

        class Calls:
            @staticmethod
            @guard.hold()
            def one():
                return 1

            @classmethod
            @guard.hold()
            def two(cls):
                return cls

        assert Calls.one() == Calls().one() == 1
        assert Calls.two() is Calls


@pytest.mark.parametrize("argument", [plain, coroutine, Dialer, "bulk", 5, None])
def test_a_decorator_without_parentheses_is_refused(make, kind, argument):
    with pytest.raises(ConfigurationError, match=rf"write @guard\.{kind}\(\) with parentheses"):
        getattr(make(), kind)(argument)


def test_a_call_id_must_be_callable(make):
    for call_id in ("id", 5, {"call_id": 1}):
        with pytest.raises(ConfigurationError, match="call_id takes the function's answer"):
            make().place(track=True, call_id=call_id)


# Timeouts and lanes


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, math.inf, "5", True, 604_801, 10**400, b"1", [5]])
def test_a_timeout_must_be_seconds_or_none(make, kind, timeout):
    with pytest.raises(ConfigurationError, match="timeout=.*give a number from 0 to 604800"):
        getattr(make(), kind)(timeout=timeout)
    with pytest.raises(ConfigurationError, match="timeout"):
        Policy(timeout=timeout)


@both_colours
@pytest.mark.parametrize("timeout", [-1, math.nan, "5", True])
async def test_acquire_checks_its_timeout(colour, timeout):
    async with Stage(colour) as stage:
        with pytest.raises(ConfigurationError, match="timeout="):
            await stage.guard.acquire(timeout=timeout)
        assert stage.provider.readings == 0


@pytest.mark.parametrize("lane", ["", "two words", "a\nb", None, 5, ("default",)])
def test_what_cannot_be_a_lane_is_refused(make, kind, lane):
    with pytest.raises(ConfigurationError, match=r"lane .* is not usable"):
        getattr(make(), kind)(lane=lane)


@pytest.mark.parametrize("lane", ["bulk", None, {"name": "bulk"}])
def test_what_is_no_lane_cannot_be_declared(make, lane):
    with pytest.raises(ConfigurationError, match=r"give a Lane, as in"):
        make(lanes=[lane])


# Nested blocks


@both_colours
@pytest.mark.parametrize("inner", ["hold", "place", "acquire"])
async def test_a_block_inside_a_block_of_its_account_needs_a_finite_timeout(colour, inner):
    async with Stage(colour, 5) as stage, stage.another(colour) as other:
        async with stage.guard.hold():
            for guard in (stage.guard, other):
                with pytest.raises(ConfigurationError, match="encloses this one.*give a timeout"):
                    if inner == "acquire":
                        await guard.acquire()
                    else:
                        async with getattr(guard, inner)():
                            pytest.fail("entered")
                with pytest.raises(ConfigurationError, match="encloses this one"):
                    await guard.acquire(timeout=None)
            async with stage.guard.place(timeout=1), other.hold(timeout=0):
                assert (await stage.status()).in_use == 3
        (await stage.guard.acquire()).cancel()


@both_colours
async def test_a_policys_finite_timeout_is_one(colour):
    async with Stage(colour, 1, policy={"timeout": 0}) as stage, stage.guard.hold():
        with pytest.raises(Saturated):
            await stage.guard.acquire()


@both_colours
async def test_blocks_of_other_accounts_nest_as_they_like(colour):
    async with Stage(colour) as stage, stage.another(colour, account="else") as other, stage.guard.hold(), other.hold():
        assert (await other.status()).in_use == 1


@both_colours
async def test_an_inner_block_may_wait_for_ever_once_the_outer_one_was_given_back(colour):
    async with Stage(colour) as stage, stage.guard.place() as outer:
        outer.cancel()
        (await stage.guard.acquire()).cancel()


@both_colours
async def test_a_block_left_in_another_context_encloses_nothing_any_more(colour):
    async with Stage(colour) as stage:
        block = stage.guard.hold()
        reservation = await block.__aenter__()
        reservation.cancel()
        await colour.start(block.__aexit__(None, None, None)).result()
        (await stage.guard.acquire()).cancel()


@both_colours
async def test_a_decorated_function_that_calls_itself_needs_a_finite_timeout(colour):
    async with Stage(colour, 5) as stage:

        @stage.guard.hold()
        async def dial(times):
            return await dial(times - 1)

        with pytest.raises(ConfigurationError, match="encloses this one"):
            await dial(2)


# Constructors


def test_a_custom_source_must_be_given_an_account(make):
    with pytest.raises(ConfigurationError, match="give account="):
        make(account=None)


def test_a_custom_source_may_name_its_own_account(make):
    source = Provider()
    source.account = "its-own"
    assert make(source, account=None).account == "its-own"
    assert make(source, account="given").account == "given"


@pytest.mark.parametrize("name", ["fetch", "afetch"])
def test_a_source_needs_both_methods(make, name):
    other = "afetch" if name == "fetch" else "fetch"
    source = SimpleNamespace(**{other: print, name: None})
    with pytest.raises(ConfigurationError, match=rf"SimpleNamespace has no {name}\(\)"):
        make(source)
    with pytest.raises(ConfigurationError, match=r"has no fetch\(\): give a source, such as PureTalk"):
        make("https://api.puretalk.ai")
    with pytest.raises(ConfigurationError, match=r"give one that was made, Provider\("):
        make(Provider)


@pytest.mark.parametrize("account", ["", " ", "a b", "a\nb", "{tag}", "x" * 101, "-x", 5, b"acme", "ä", "a*", "a\x00"])
def test_an_account_must_be_a_name(make, account):
    with pytest.raises(ConfigurationError, match="account .* is not usable"):
        make(account=account)


@pytest.mark.parametrize("policy", [{}, {"timeout": 5}, 5, Policy])
def test_a_policy_must_be_a_policy(make, policy):
    with pytest.raises(ConfigurationError, match="give a Policy"):
        make(policy=policy)


@pytest.mark.parametrize("ledger", ["redis://user:secret@localhost", object(), {}])
def test_a_ledger_must_be_a_ledger(make, ledger):
    with pytest.raises(ConfigurationError, match=r"give RedisLedger\(url\), or a MemoryLedger") as raised:
        make(ledger=ledger)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("lanes", [Lane("bulk"), "bulk", ["bulk"]])
def test_lanes_are_a_list_of_lanes(make, lanes):
    with pytest.raises(ConfigurationError, match=r"Lane\('callbacks'\)"):
        make(lanes=lanes)


def test_a_block_takes_a_lanes_name(make):
    with pytest.raises(ConfigurationError, match="give the name of a lane, 'bulk', not the Lane"):
        make().hold(lane=Lane("bulk"))


@pytest.mark.parametrize("name", ["wait", "stop"])
def test_wait_and_stop_are_tenacitys(make, name):
    with pytest.raises(ConfigurationError, match=f"{name}=3: give one of tenacity's"):
        make(**{name: 3})


def test_a_usage_must_be_believable():
    for limit, count in ((-1, 0), (0, -1), (True, 0), (1.0, 0), (1_000_001, 0), (0, 10**30), ("5", 0), (None, 0)):
        with pytest.raises(ConfigurationError):
            Usage(limit, count)


def test_a_lane_must_have_a_name():
    for name in ("", "a b", 5, None, "x" * 101):
        with pytest.raises(ConfigurationError):
            Lane(name)


# Secrets


@pytest.mark.parametrize("colour", COLOURS)
def test_no_text_shows_the_key(colour, caplog):
    """Not a repr, a log record, an error or its attributes, whatever the provider answers."""
    caplog.set_level("DEBUG", "admission")
    fake = FakePureTalk(1, api_key=KEY)
    kind = httpx.AsyncClient if colour.tasks else httpx.Client
    source = PureTalk(KEY, base_url="http://provider.test/api", client=kind(transport=transport(fake)))
    guard = colour.guard(source, policy=Policy(refresh_interval=0.01, max_staleness=0.02, timeout=0.1))
    texts = [repr(guard), guard.account, repr(guard.hold()), repr(source)]

    async def failure(ask):
        while True:
            try:
                answer = await ask()
            except AdmissionError as error:
                return error
            # A reading from before the fault was still young.
            if isinstance(answer, Reservation):
                answer.cancel()

    async def scenario():
        texts.append(repr(await guard.status()))
        async with guard.hold(timeout=60.0) as reservation:  # also where readings take longer than they may be old
            texts.extend([repr(reservation), reservation.id, reservation.account])
        for fault in ({"status": 503, "body": f"no {KEY}"}, {"status": 200, "body": KEY}, {"status": 401, "body": KEY}):
            fake.fail_always(**fault)
            for ask in (guard.refresh, guard.acquire):
                error = await failure(ask)
                while error is not None:
                    texts.extend([str(error), repr(error), repr(vars(error))])
                    error = error.__cause__ or error.__context__
            fake.heal()
        await guard.close()

    colour.run(scenario())
    texts.extend(record.getMessage() + repr(vars(record)) for record in caplog.records)
    assert caplog.records
    assert [text for text in texts if KEY in text] == []


def test_the_decorators_helper_finishes_only_what_never_suspends():
    """The tests' own driver of the plain colour: a scenario that suspends would silently be left half done."""
    with pytest.raises(AssertionError, match="suspends"):
        finish(asyncio.sleep(0))
