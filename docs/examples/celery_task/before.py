"""A Celery task that calls one lead: `celery -A before worker`, and `dial.delay(lead)`."""

import os

import httpx
from celery import Celery

DIAL_TIMEOUT = float(os.environ.get("DIAL_TIMEOUT", "10"))

app = Celery("dialer", broker=os.environ["CELERY_BROKER_URL"])
client = httpx.Client(
    base_url=os.environ["PURETALK_BASE_URL"],
    headers={"X-API-KEY": os.environ["PURETALK_API_KEY"]},
    timeout=DIAL_TIMEOUT,
)


class NoFreeLineError(Exception):
    """The account runs as many calls as it may."""


@app.task(autoretry_for=(NoFreeLineError, httpx.HTTPError), retry_backoff=True, max_retries=10)
def dial(lead):
    usage = client.get("/users/concurrency-usage").raise_for_status().json()["results"]
    if usage["concurrency_count"] >= usage["concurrency_limit"]:
        raise NoFreeLineError
    answer = client.post("/calls", json={"metadata": {"lead": lead}})
    return answer.raise_for_status().json()["call_id"]
