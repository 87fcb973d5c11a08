"""The settings of the test's arq workers."""

import asyncio

import httpx
from arq import func
from arq.connections import RedisSettings

from admission.integrations.arq import admitted
from tests.queues import phone

guard = phone.make_async_guard()


@admitted(guard, wait=phone.WAIT)
async def place(ctx, contact):
    if not phone.may_dial(contact):
        return
    if phone.runs_into(contact, "before"):
        await ctx["never"].wait()
    answer = await ctx["http"].post(f"{phone.SETUP['api']}/calls", content=phone.body(contact))
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise phone.refused(contact, answer.headers)
    answer.raise_for_status()
    if phone.runs_into(contact, "after"):
        await ctx["never"].wait()
    phone.store.set(f"mark:{contact}", answer.json()["call_id"])


async def dial(ctx, contact):
    phone.note_run(contact)
    return await place(ctx, contact)


async def startup(ctx):
    ctx["http"] = httpx.AsyncClient(headers={"X-API-KEY": phone.SETUP["key"]}, timeout=30, verify=False)
    ctx["never"] = asyncio.Event()


async def shutdown(ctx):
    await ctx["http"].aclose()
    await guard.close()


class WorkerSettings:
    functions = (func(dial, name="dial", timeout=60), func(dial, name="dial_soft", timeout=phone.SETUP["soft"]))
    redis_settings = RedisSettings.from_dsn(phone.REDIS)
    on_startup = startup
    on_shutdown = shutdown
    max_jobs = phone.SETUP["workers"]
    max_tries = 3
    poll_delay = 0.05
    keep_result = 0
