"""A free slot without waiting for the clerk: a caller asks the ledger by itself, and tells its desk what came of it.

It only ever claims what is free, and takes no seat. Whatever else comes of it, or interrupts it, the caller goes on as
if it had not asked: all requests may be run twice, and giving up withdraws what was granted unheard.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from admission.clerk import PATIENCE, StoreDown
from admission.core.callers import direct_answer
from admission.core.messages import Admitted

if TYPE_CHECKING:
    from admission.clerk import Clerk
    from admission.core.desk import Desk
    from admission.core.messages import Answer, Want
    from admission.ledger.wire import Wire


def ask(clerk: Clerk, desk: Desk, want: Want) -> Answer | None:
    """Ask in this thread; return the answer that grants a slot, `None` for whatever else."""
    said = desk.direct_request(want)
    way = clerk.store.way(desk.account) if said is not None else None
    if said is None or way is None:
        return None
    try:
        want.asked = True
        sent_at = clerk.clock.now()
        way.send(desk.account, *said)
        reply = way.receive()
    except StoreDown:
        return None
    finally:
        way.drop()
    return _take(clerk, desk, want, reply, sent_at)


async def aask(clerk: Clerk, desk: Desk, want: Want) -> Answer | None:
    """Ask on this event loop; return the answer that grants a slot, `None` for whatever else."""
    said = desk.direct_request(want)
    way = clerk.store.way(desk.account) if said is not None else None
    if said is None or way is None:
        return None
    loop = asyncio.get_running_loop()
    place = way.fileno()
    heard: asyncio.Future[str] = loop.create_future()
    timer: asyncio.TimerHandle | None = None
    try:
        loop.add_reader(place, _settle, heard, "reply")
        timer = loop.call_later(PATIENCE, _settle, heard, "")
        want.asked = True
        sent_at = clerk.clock.now()
        way.send(desk.account, *said)
        reply = way.receive() if await heard else None
    except StoreDown:
        return None
    except NotImplementedError:  # a loop that cannot watch sockets
        way.give_back()
        return None
    finally:
        # First of all: a loop that goes on to watch a closed socket stumbles over the next one of that number.
        try:  # noqa: SIM105 - an exception that a signal raises may come in `suppress`
            loop.remove_reader(place)
        except RuntimeError:  # the loop was closed meanwhile, or cannot watch sockets
            pass
        way.drop()
        if timer is not None:
            timer.cancel()
    return _take(clerk, desk, want, reply, sent_at)


def _settle(heard: asyncio.Future[str], what: str) -> None:
    if not heard.done():
        heard.set_result(what)


def _take(clerk: Clerk, desk: Desk, want: Want, reply: Wire | None, sent_at: float) -> Answer | None:
    answer = direct_answer(want, reply, sent_at) if reply is not None else None
    if reply is not None and answer is not None and answer.booking is not None:
        clerk.post(desk, Admitted(want, answer.booking, reply, sent_at, clerk.clock.now()))
    return answer
