"""Calls as many leads as there are free lines, and ends; cron starts it every minute: `python before.py leads.sqlite`.

The leads are in a table: `create table leads (name text primary key, state text default 'new')`.
"""

import os
import sqlite3
import sys

import httpx

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
    client.post("/calls", json={"metadata": {"lead": lead}}).raise_for_status()
    with leads:
        leads.execute("update leads set state = 'called' where name = ?", [lead])


def main(path):
    leads = sqlite3.connect(path, timeout=30)
    url, key = os.environ["PURETALK_BASE_URL"], os.environ["PURETALK_API_KEY"]
    with httpx.Client(base_url=url, headers={"X-API-KEY": key}, timeout=30) as client:
        usage = client.get("/users/concurrency-usage").raise_for_status().json()["results"]
        free = usage["concurrency_limit"] - usage["concurrency_count"]
        for lead in take(leads, max(free, 0)):
            call(client, leads, lead)


main(sys.argv[1])
