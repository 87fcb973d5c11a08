"""A Celery task that calls one lead: `celery -A after worker`, and `dial.delay(lead)`."""

import os

import httpx
from celery import Celery

from admission import Guard, Policy
from admission.integrations.celery import admitted

DIAL_TIMEOUT = float(os.environ.get("DIAL_TIMEOUT", "10"))
VISIBILITY_LAG = float(os.environ.get("VISIBILITY_LAG", "5"))

app = Celery("dialer", broker=os.environ["CELERY_BROKER_URL"])
client = httpx.Client(
    base_url=os.environ["PURETALK_BASE_URL"],
    headers={"X-API-KEY": os.environ["PURETALK_API_KEY"]},
    timeout=DIAL_TIMEOUT,
)
guard = Guard.from_env(policy=Policy(visibility_lag=VISIBILITY_LAG))


@app.task(autoretry_for=(httpx.ConnectError,), retry_backoff=True, max_retries=10)
@admitted(guard)
def dial(lead):
    answer = client.post("/calls", json={"metadata": {"lead": lead}})
    return answer.raise_for_status().json()["call_id"]
