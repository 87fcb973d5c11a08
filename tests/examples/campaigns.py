"""Two campaigns on one account, each in a process of its own."""

from __future__ import annotations

from tests.examples.stage import Outcome, leads, staged


def two_campaigns(redis: str, version: str) -> Outcome:
    """One campaign has all 20 lines of the account when a second one begins."""
    first, second = leads(20, "first"), leads(15, "second")
    with staged(redis, 20) as stage:
        one = stage.start("asyncio_script", f"{version}.py", stage.write("first.txt", first))
        stage.wait_until(lambda: stage.provider.live == 20)
        other = stage.start("asyncio_script", f"{version}.py", stage.write("second.txt", second))
        stage.wait_until(lambda: stage.provider.refused + stage.status().waiting == 15)
        stage.talk_until(lambda: None not in {one.poll(), other.poll()})
        return stage.outcome([*first, *second])
