"""The web app that runs a campaign, and what its provider's events do to it."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.examples.stage import PATIENCE, Outcome, Stage, leads, name_of, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "whoever knows this is the provider"


class App:
    """The app, as its operator and its provider see it: a request returns when it is answered."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def begin(self, names: list[str]) -> None:
        """Begin a campaign."""
        self._client.post("/campaign", json=names).raise_for_status()

    def tell(self, number: int) -> None:
        """Tell the end of a call."""
        event = {"event": "call.ended", "call_id": name_of(number)}
        headers = {"X-Webhook-Secret": SECRET}
        self._client.post("/webhooks/calls", json=event, headers=headers).raise_for_status()


@contextmanager
def served(stage: Stage, version: str, lines: int) -> Iterator[App]:
    """Run the app; requests wait until it is up, since its socket is there already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uvicorn = ["-m", "uvicorn", f"{version}:app", f"--fd={listener.fileno()}", "--no-access-log"]
        settings = {"LINES": lines, "WEBHOOK_SECRET": SECRET}
        stage.start("webhook_campaign", *uvicorn, pass_fds=(listener.fileno(),), **settings)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        yield App(client)


def unreliable_events(redis: str, version: str) -> Outcome:
    """The end of one call is told three times; then all calls end, and nobody is told. Every later end is told once."""
    names = leads(20)
    with staged(redis, 5, enforce=False) as stage, served(stage, version, 5) as app:
        app.begin(names)
        _settle(stage, version, names)
        stage.end(1)
        for _ in range(3):
            app.tell(1)
        _settle(stage, version, names)
        for number in stage.live():
            stage.end(number)
        _settle(stage, version, names)
        _play(stage, version, names, app)
        return stage.outcome(names)


def early_event(redis: str, version: str) -> Outcome:
    """The first call is over, and its end told, before its dial is answered."""
    names = leads(6)
    with staged(redis, 2) as stage, served(stage, version, 2) as app, ThreadPoolExecutor() as threads:
        stage.provider.dial_reply_latency = 1
        begun = threads.submit(app.begin, names)
        stage.wait_until(lambda: stage.gate.waiting == 1)
        stage.end(1)
        told = threads.submit(app.tell, 1)
        stage.wait_until(lambda: told.done() or stage.gate.waiting == 2)
        stage.gate.open()
        begun.result()
        told.result()
        _settle(stage, version, names)
        _play(stage, version, names, app)
        return stage.outcome(names)


def _play(stage: Stage, version: str, names: list[str], app: App) -> None:
    """Let calls end one by one, and tell each end once, until no call is left."""
    while live := stage.live():
        stage.end(live[0])
        app.tell(live[0])
        _settle(stage, version, names)


def _settle(stage: Stage, version: str, names: list[str]) -> None:
    """Wait until the campaign has done what it can: all lines are taken, or all leads called.

    In the first version only events set anything off, and that is over when they are answered: nothing to wait for.
    """
    if version == "after":
        stage.wait_until(lambda: stage.provider.live >= stage.provider.limit or stage.provider.started == len(names))
