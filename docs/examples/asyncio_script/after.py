"""Calls every lead of a file, one a line: `python after.py leads.txt`."""

import asyncio
import os
import sys
from pathlib import Path

import httpx

from admission import AsyncGuard, Policy

DIAL_TIMEOUT = float(os.environ.get("DIAL_TIMEOUT", "8"))  # less than the policy's placement_timeout
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "2"))
VISIBILITY_LAG = float(os.environ.get("VISIBILITY_LAG", "5"))

guard = AsyncGuard.from_env(policy=Policy(visibility_lag=VISIBILITY_LAG))


async def call(client, lead):
    async with guard.hold() as reservation:
        async with asyncio.timeout(DIAL_TIMEOUT):
            answer = await client.post("/calls", json={"metadata": {"lead": lead}})
        answer.raise_for_status()
        call_id = answer.json()["call_id"]
        reservation.placed(call_id)
        await until_over(client, call_id)
        reservation.ended()


async def until_over(client, call_id):
    while (await client.get(f"/calls/{call_id}")).json()["results"]["status"] == "in-progress":
        await asyncio.sleep(POLL_SECONDS)


async def main(leads):
    url, key = os.environ["PURETALK_BASE_URL"], os.environ["PURETALK_API_KEY"]
    async with guard, httpx.AsyncClient(base_url=url, headers={"X-API-KEY": key}, timeout=30) as client:
        outcomes = await asyncio.gather(*(call(client, lead) for lead in leads), return_exceptions=True)
    for lead, outcome in zip(leads, outcomes, strict=True):
        if outcome is not None:
            print(f"{lead}: {outcome!r}")


asyncio.run(main(Path(sys.argv[1]).read_text("utf-8").split()))
