"""Every task queue with real workers on a real Redis, judged by the provider: who was dialled, and how many at once."""

import random
from contextlib import contextmanager

import pytest

from admission import Policy
from tests.integration.fleet_sides import side
from tests.queues.conftest import LIMIT
from tests.waiting import wait_until

JOBS = 200
PATIENCE = 90.0
"""Seconds that everything may take on a busy machine."""


@contextmanager
def watching(crew, provider):
    """Tell what the workers said when the test fails; give a guard of this process's own on the same account."""
    policy = Policy(**crew.stage.policy, timeout=20.0)
    try:
        with side("sync", provider, crew.stage.redis, crew.stage.account, policy) as guard:
            yield guard
    except BaseException as error:
        error.add_note(crew.complaints()[-12000:])
        raise


def contacts_with_trouble(crew):
    """Return two lots of contacts, in random order; some of their first jobs run into a time limit, or are killed.

    What is to be killed after its dial is in the second lot, which is for the time after the first kill: that takes
    along whatever else its worker does.
    """
    kinds = ["soft", *(["hard"] if crew.hard else []), "kill"]
    lots = []
    for name, when in (("early", "before"), ("late", "after")):
        lot = [f"{kind}-{when}" for kind in kinds]
        for trouble in lot:
            crew.connection.set(f"trouble:{trouble}", trouble)
        lot += [f"{name}-{number}" for number in range(JOBS // 2 - len(lot))]
        random.shuffle(lot)
        lots.append(lot)
    return lots


def kill_when_it_stands_still(crew, contact):
    """Kill the process that runs a contact's job."""
    pid = int(wait_until(lambda: crew.connection.get(f"at:{contact}"), PATIENCE))
    crew.kill(pid, contact)


def clear_up(crew, provider, contacts):
    """Look after the contacts of which nobody knows, once their jobs are gone, and return how many need a new job.

    A mark without a call: only the provider knows whether there was one. No mark: the job was lost.
    """
    dialled = set(provider.dialled())
    left = 0
    for contact in contacts:
        if contact in dialled:
            continue
        crew.connection.delete(f"mark:{contact}")
        crew.enqueue(contact)
        left += 1
    return left


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_contact_is_dialled_once_whatever_becomes_of_its_workers(hire, provider):
    with hire() as crew, watching(crew, provider) as guard:
        early, late = contacts_with_trouble(crew)
        provider.fake.set_foreign(LIMIT)
        for contact in early[: crew.stage.workers]:
            crew.enqueue(contact)
        crew.start()
        # Saturation and refusals cost no job a try of its own, however often it is handed back.
        wait_until(lambda: max(map(int, crew.connection.hvals("runs")), default=0) > crew.budget + 1, PATIENCE)
        provider.fake.refuse_next(3, retry_after=0.2)
        provider.fake.set_foreign(0)
        for contact in early[crew.stage.workers :]:
            crew.enqueue(contact)
        kill_when_it_stands_still(crew, "kill-before")
        for contact in late:
            crew.enqueue(contact)
        kill_when_it_stands_still(crew, "kill-after")
        # A new version of the jobs is rolled out meanwhile.
        crew.stop()
        crew.start()
        wait_until(crew.is_idle, PATIENCE)
        # What was killed after its dial was delivered again, and not dialled again.
        assert int(crew.connection.get("found") or 0) >= 1
        while clear_up(crew, provider, early + late):
            wait_until(crew.is_idle, PATIENCE)
        crew.stop()
        assert sorted(provider.dialled()) == sorted(early + late)
        assert (provider.fake.overshoots, provider.fake.peak) == (0, LIMIT)
        guard.check_whole(LIMIT)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_last_notes_of_a_process_are_delivered_before_it_ends(hire, provider):
    # A slot whose note was lost stays booked for a minute.
    with hire(policy={"placement_timeout": 60.0}, workers=2, jobs_per_process=1) as crew:
        contacts = [f"contact-{number}" for number in range(2 * LIMIT)]
        with watching(crew, provider) as guard:
            for contact in contacts:
                crew.enqueue(contact)
            crew.start()
            wait_until(lambda: len(provider.dialled()) == len(contacts), PATIENCE)
            wait_until(crew.is_idle, PATIENCE)
            crew.stop()
            guard.check_whole(LIMIT)
    assert sorted(provider.dialled()) == sorted(contacts)
