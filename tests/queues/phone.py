"""What the jobs of all queues do in a worker process: dial a contact once, or run into the trouble that the test wants.

A contact is marked in the users' own store just before its dial (`SET NX`), so that a job that is delivered again, or
runs twice, does not dial it again. A mark that still says `begun` when its job is gone is an unknown contact: only the
provider can say whether it was dialled.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import math
import os
import signal
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx
import redis

from admission import AsyncGuard, CallRejected, Guard, Policy, PureTalk, RedisLedger, current_reservation

SETUP = json.loads(os.environ["QUEUES_SETUP"])
"""Where everything is, and how the guard decides: see `crew.Stage`."""
WAIT = SETUP["wait"]
REDIS = SETUP["redis"]
BEGUN = b"begun"
LONGEST_HANG = 20.0
"""Seconds after which a job goes on that no time limit has ended: more than each limit, less than `crew.PATIENCE`."""

store = redis.Redis.from_url(REDIS)
# When a test fails, its workers are asked where they stand.
faulthandler.register(signal.SIGUSR2)


def _made(of, client):
    source = PureTalk(SETUP["key"], base_url=SETUP["api"], client=client)
    return of(source, RedisLedger(REDIS), account=SETUP["account"], policy=Policy(**SETUP["policy"]))


def make_guard():
    return _made(Guard, httpx.Client(verify=False))


def make_async_guard():
    return _made(AsyncGuard, httpx.AsyncClient(verify=False))


def note_run(contact):
    """Note that a worker runs the contact's job, whatever becomes of it."""
    store.hincrby("runs", contact, 1)


def counted(fn):
    """Count the runs of a job, those too that are handed back."""

    @functools.wraps(fn)
    def job(contact):
        note_run(contact)
        return fn(contact)

    return job


def may_dial(contact):
    """Mark a contact; `False` when it was marked before, and then give the slot back."""
    if store.set(f"mark:{contact}", BEGUN, nx=True):
        return True
    store.incr("found")
    current_reservation().cancel()
    return False


def runs_into(contact, when):
    """Return the trouble that a contact's job runs into `before` or `after` its dial, once; else nothing."""
    trouble = (store.get(f"trouble:{contact}") or b"").decode()
    if not trouble.endswith(when):
        return ""
    store.delete(f"trouble:{contact}")
    store.set(f"at:{contact}", os.getpid())
    return trouble


def dial(contact):
    """Place one call."""
    if not may_dial(contact):
        return
    if trouble := runs_into(contact, "before"):
        _hang(trouble)
    call_id = _post(contact)
    if trouble := runs_into(contact, "after"):
        _hang(trouble)
    store.set(f"mark:{contact}", call_id)


def _post(contact):
    headers = {"X-API-KEY": SETUP["key"], "Content-Type": "application/json"}
    request = Request(f"{SETUP['api']}/calls", body(contact), headers)
    try:
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)["call_id"]
    except HTTPError as error:
        error.close()
        if error.code == httpx.codes.TOO_MANY_REQUESTS:
            raise refused(contact, error.headers) from error
        raise


def body(contact):
    return json.dumps({"duration": SETUP["call"], "metadata": {"contact": contact}}).encode()


def refused(contact, headers):
    """Return the error for a call that the provider refused; its contact may be dialled anew."""
    store.delete(f"mark:{contact}")
    return CallRejected(float(headers.get("Retry-After", 0)))


def _hang(trouble):
    """Stand still until a time limit raises (`soft`), or something worse happens.

    Celery sets no limit on the tasks of a worker that shuts down: what hangs then has to end by itself.
    """
    ends = math.inf if trouble.startswith("kill") else time.monotonic() + LONGEST_HANG
    while time.monotonic() < ends:
        try:
            while time.monotonic() < ends:
                time.sleep(0.01)  # in steps: an exception that is set in a thread waits for the end of a call
        except Exception:
            if trouble.startswith("soft"):
                raise
