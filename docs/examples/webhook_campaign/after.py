"""A campaign that waits for free lines: `uvicorn after:app`, `POST /campaign`, events to `/webhooks/calls`."""

import logging
import os
from collections import deque

import httpx
from fastapi import BackgroundTasks, FastAPI

from admission import AsyncGuard, Policy
from admission.integrations.webhooks import Webhooks

VISIBILITY_LAG = float(os.environ.get("VISIBILITY_LAG", "5"))

logger = logging.getLogger(__name__)
guard = AsyncGuard.from_env(policy=Policy(visibility_lag=VISIBILITY_LAG))

app = FastAPI()
leads = deque()
client = httpx.AsyncClient(
    base_url=os.environ["PURETALK_BASE_URL"], headers={"X-API-KEY": os.environ["PURETALK_API_KEY"]}, timeout=30
)


@guard.place(track=True, call_id=str)
async def dial(lead):
    answer = await client.post("/calls", json={"metadata": {"lead": lead}})
    return answer.raise_for_status().json()["call_id"]


async def dial_all():
    while leads:
        lead = leads.popleft()
        try:
            await dial(lead)
        except httpx.HTTPError:
            logger.exception("%s may not have been called", lead)


@app.post("/campaign")
async def begin(names: list[str], background: BackgroundTasks):
    leads.extend(names)
    background.add_task(dial_all)


app.mount("/webhooks", Webhooks(guard, secret=os.environ["WEBHOOK_SECRET"], ended=["call.ended"]))
