"""Every moment once for callers that ask a real server by themselves, as they do while slots are free."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING

from tests.storm.crowds import POLICY
from tests.storm.points import Points, place_of
from tests.storm.singles import COLOURS, SIGNALS, listening

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.storm.crowds import Account
    from tests.storm.singles import Tally

WARM = 3


def by_signals(account: Account, name: str, tally: Tally, only: Collection[str] = ()) -> None:
    """Interrupt a caller at every point of the package's code, or of `only` some files; then look at the account."""
    colour = COLOURS[name]

    async def main():
        guard = colour.guard(account, account.ledger, account=account.name, policy=POLICY)
        loop = asyncio.get_running_loop() if colour.tasks else None
        with listening() as noise:
            noise.unawaited = colour.tasks
            if loop is not None:
                noise.on(loop)
            points = Points()
            await warm(guard)
            with points:
                await hold(account, guard)
            if not any(file == "direct.py" and function in {"ask", "aask"} for file, function, _ in points.seen):
                tally.faults.append(f"nobody asked directly: {points.seen}")
            here = [point for point in points.all(1) if not only or point.file in only]
            for number, point in enumerate(here):
                await strike(point, SIGNALS[number % 2], account, guard, tally)
                if loop is not None:
                    tally.faults += [f"{point}: {fault}" for fault in strange_files(loop)]
            await guard.close()
            tally.faults += [f"directly, {name}: {fault}" for fault in noise.take()]

    colour.run(main())
    with listening() as noise:
        tally.faults += [f"directly, {name}: {fault}" for fault in [*account.ends_clean(), *noise.take()]]


async def warm(guard) -> None:
    """Admit until callers ask by themselves."""
    for _ in range(WARM):
        (await guard.acquire(timeout=10)).ended()
    await guard.status()


async def hold(account, guard) -> None:
    async with guard.hold(timeout=10) as reservation:
        account.dial(reservation)
        reservation.ended()


async def strike(point, error, account, guard, tally) -> None:
    points = Points(point, error)
    await warm(guard)
    try:
        with points:
            await hold(account, guard)
    except SIGNAL_ERRORS as caught:
        if caught is not points.raised:
            tally.faults.append(f"{point}: out came {caught!r}")
        tally.struck[f"{error.__name__} by a signal, Redis", place_of(caught)] += 1
        points.raised = None
    if points.raised is not None:
        tally.faults.append(f"{point}: the exception did not reach the caller")
    gc.collect(0)


SIGNAL_ERRORS = tuple(SIGNALS)


def strange_files(loop) -> list[str]:
    """Tell of files that the loop watches although they are not its own, or closed."""
    return [
        f"the loop still watches file {file}"
        for file in list(loop._selector.get_map())
        if file != loop._ssock.fileno() or not is_open(file)
    ]


def is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


__all__ = ["by_signals"]
