"""What guards take from the environment, and what those of one process share there."""

import gc
import weakref

import pytest

from admission import AsyncGuard, ConfigurationError, Guard, MemoryLedger, Policy, Saturated
from tests.guards.forks import in_child, needs_fork
from tests.guards.stage import Provider
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ledger_has_time")

KEY = "pt-live-0123456789abcdef"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing of a guard."""
    for variable in (
        "PURETALK_API_KEY",
        "PURETALK_BASE_URL",
        "ADMISSION_REDIS_URL",
        "ADMISSION_LEDGER",
        "ADMISSION_ACCOUNT",
    ):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def of_one_line(kind=Guard):
    """Return a guard of an account with one line, on the ledger of the environment."""
    return kind.from_env(source=Provider(limit=1), account="acme")


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
def test_the_variable_that_is_missing_is_named(kind):
    with pytest.raises(ConfigurationError, match="PURETALK_API_KEY is not set"):
        kind.from_env()
    with pytest.raises(ConfigurationError, match="ADMISSION_REDIS_URL is not set.*ADMISSION_LEDGER=memory"):
        kind.from_env(source=Provider(), account="acme")
    assert kind.from_env(source=Provider(), account="acme", ledger=MemoryLedger()).account == "acme"


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
def test_the_environment_is_read_and_keywords_override_it(kind, environment):
    environment.setenv("PURETALK_API_KEY", KEY)
    environment.setenv("PURETALK_BASE_URL", "http://provider.test/api")
    environment.setenv("ADMISSION_LEDGER", "memory")
    environment.setenv("ADMISSION_ACCOUNT", "from-env")
    guard = kind.from_env(policy=Policy(headroom=3))
    assert (guard.account, guard.policy.headroom) == ("from-env", 3)
    assert "http://provider.test/api" in repr(guard)
    assert KEY not in repr(guard)
    assert kind.from_env(account="given").account == "given"


def test_two_guards_on_memory_admit_one_call_where_there_is_one_line(environment):
    environment.setenv("ADMISSION_LEDGER", "memory")
    with of_one_line() as first, of_one_line() as second:
        held = first.acquire(timeout=10)
        with pytest.raises(Saturated):
            second.acquire(timeout=0)
        held.cancel()
        second.acquire(timeout=10).cancel()


async def test_guards_of_both_colours_admit_one_call_where_there_is_one_line(environment):
    environment.setenv("ADMISSION_LEDGER", "memory")
    with of_one_line() as plain:
        async with of_one_line(AsyncGuard) as asynchronous:
            held = plain.acquire(timeout=10)
            with pytest.raises(Saturated):
                await asynchronous.acquire(timeout=0)
            held.cancel()


def test_a_book_in_memory_ends_with_the_guards_that_share_it(environment):
    environment.setenv("ADMISSION_LEDGER", "memory")
    guard = of_one_line()
    guard.acquire(timeout=10).cancel()
    guard.close()
    book = weakref.ref(guard._ledger)
    del guard
    wait_until(lambda: gc.collect() is not None and book() is None)


def test_guards_share_a_server_by_its_url(environment):
    environment.setenv("ADMISSION_REDIS_URL", "redis://one.test:6379/0")
    one, same = of_one_line(), of_one_line(AsyncGuard)
    environment.setenv("ADMISSION_REDIS_URL", "redis://one.test:6379/1")
    other = of_one_line()
    assert one._ledger is same._ledger
    assert other._ledger is not one._ledger


@needs_fork
def test_a_forked_child_has_a_book_of_its_own(environment):
    environment.setenv("ADMISSION_LEDGER", "memory")
    guard = of_one_line()
    guard.acquire(timeout=10).cancel()

    def admitted():
        with of_one_line() as own:
            own.acquire(timeout=10).cancel()
            return own._ledger is guard._ledger

    assert in_child(admitted) == "False"
    guard.close()
