"""Calls as many leads as there are free lines, and ends; cron starts it every minute: `python after.py leads.sqlite`.

The leads are in a table: `create table leads (name text primary key, state text default 'new')`. Of those that are
'unknown', or 'taken' when no run is left, only the provider can say whether they were called.
"""

import os
import sqlite3
import sys
from contextlib import suppress

import httpx

from admission import Guard, Policy, Saturated

VISIBILITY_LAG = float(os.environ.get("VISIBILITY_LAG", "5"))

guard = Guard.from_env(policy=Policy(visibility_lag=VISIBILITY_LAG))

TAKE = """
update leads set state = 'taken'
where rowid in (select rowid from leads where state = 'new' limit ?) returning name
"""


def take(leads, count):
    """Take so many leads that nobody has taken; two runs never take the same one."""
    with leads:
        taken = leads.execute(TAKE, [count])
        return [name for (name,) in taken.fetchall()]


def call(client, leads, lead):
    try:
        client.post("/calls", json={"metadata": {"lead": lead}}).raise_for_status()
    except httpx.HTTPError as error:
        mark(leads, lead, "new" if surely_not_placed(error) else "unknown")
        raise
    mark(leads, lead, "called")


def mark(leads, lead, state):
    with leads:
        leads.execute("update leads set state = ? where name = ?", [state, lead])


def surely_not_placed(error):
    """Whether the provider refused the call, or was not even asked."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return isinstance(error, httpx.ConnectError)


def call_next(client, leads):
    """Call the next lead, once a line is free; return whether there was one."""
    with guard.place(timeout=5) as reservation:
        for lead in take(leads, 1):
            call(client, leads, lead)
            return True
        reservation.cancel()
        return False


def main(path):
    leads = sqlite3.connect(path, timeout=30)
    url, key = os.environ["PURETALK_BASE_URL"], os.environ["PURETALK_API_KEY"]
    with guard, httpx.Client(base_url=url, headers={"X-API-KEY": key}, timeout=30) as client, suppress(Saturated):
        while call_next(client, leads):
            pass


main(sys.argv[1])
