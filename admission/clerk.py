"""The one background thread of a ledger in this process: it drives the desks of all guards, of both colours.

Callers only put messages into its inbox, which no signal, cancellation or finaliser can leave half done; requests of
many callers that came in while a round trip was under way travel together in the next. It ends by itself when nothing
is under way, and begins again with the next message.
"""

from __future__ import annotations

import atexit
import math
import queue
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Protocol

from admission.core.desk import Desk
from admission.core.messages import LATER, Failed, Flush, Message
from admission.drivers import ThreadBox
from admission.errors import AdmissionError
from admission.ledger.wire import Code
from admission.log import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admission.clocks import Clock
    from admission.core.drafts import Draft
    from admission.ledger.requests import Request, Who
    from admission.ledger.wire import Wire


IDLE = 5.0
"""Real seconds without work after which the thread ends."""
LINGER = 0.005
"""Seconds that notes wait for others to travel with, when nobody stands in line."""
RETRY_FIRST, RETRY_MOST = 0.05, 0.5
"""Seconds between two tries to reach the ledger; less than a beat, so that a new epoch hears everybody in time."""
DRAIN = 2.0
"""Seconds that closing waits for notes to be delivered."""


PATIENCE = 0.25
"""Seconds within which the ledger answers a caller that asks by itself, or it leaves that to the clerk."""


class StoreDown(Exception):
    """The ledger's store did not serve a batch; `cause` says why. Everything in it may or may not have been run."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Way(Protocol):
    """A connection to the ledger that one caller has for itself, for one request; in the end it drops it."""

    def send(self, account: str, who: Who, request: Request) -> None:
        """Send the request.

        Raises:
            StoreDown: The connection failed.
        """
        ...

    def fileno(self) -> int:
        """Return the file descriptor on which the reply comes."""
        ...

    def receive(self) -> Wire | None:
        """Wait for the reply, at most `PATIENCE`, and give the way back; `None` when the store refused the request.

        Raises:
            StoreDown: The connection failed, or was too slow.
        """
        ...

    def give_back(self) -> None:
        """Give the way back unused."""
        ...

    def drop(self) -> None:
        """Close the connection, unless it was given back."""
        ...


class Store(Protocol):
    """What runs requests: books in memory, or Redis."""

    lingers: bool
    """Whether a round trip is worth waiting a moment for."""

    def exchange(self, batch: Sequence[tuple[str, Who, Request]]) -> list[Wire | Exception]:
        """Run requests of accounts in order; one reply each, or the error for one that was not served.

        Raises:
            StoreDown: The store cannot be reached.
        """
        ...

    def way(self, account: str) -> Way | None:
        """Return a way for the running caller alone, from any thread; `None` when there is none at the moment."""
        ...

    def offers(self) -> list[tuple[str, str]]:
        """Return the offers that came up in this process since the last call: process and seat."""
        ...

    def listen(self, clerk: Clerk) -> None:
        """Begin to bring offers of other processes to `clerk.offered`, if that is not under way already."""
        ...

    def disconnect(self) -> None:
        """Give connections back; the next exchange makes new ones."""
        ...


class Clerk:
    """Drives desks over one store.

    Args:
        store: What runs the requests.
        clock: The process's clock.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._inbox: queue.SimpleQueue[tuple[Desk, Message] | tuple[str, list[str]] | None] = queue.SimpleQueue()
        self._later: deque[tuple[Desk, Message]] = deque()
        """What may wait a moment, in order; it is taken before anything of the inbox."""
        self._lingering = False
        """Whether the thread will look into `_later` by itself, within `LINGER`."""
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._desks: weakref.WeakValueDictionary[str, Desk] = weakref.WeakValueDictionary()
        self._active: dict[str, Desk] = {}
        self._sampled: weakref.WeakSet[Desk] = weakref.WeakSet()
        """Desks that ask how their account stands even if nothing is under way; that alone keeps no guard alive."""
        self._out: dict[Draft, Desk] = {}
        """What was taken out of the outboxes, until it is known what became of it."""
        self._retry_at: float | None = None
        """When the store is tried again, after it did not serve anybody."""
        self._retry_after = RETRY_FIRST
        self._held_off: weakref.WeakKeyDictionary[Desk, tuple[float, float]] = weakref.WeakKeyDictionary()
        """Desks whose requests were not served while others were: when they are tried again, seconds to add then."""
        self._foreign: weakref.WeakSet[Desk] = weakref.WeakSet()
        """Desks that were told nothing but of a foreign epoch the last time."""
        self._look_again = False
        _CLERKS.add(self)

    # Any thread

    def post(self, desk: Desk, message: Message) -> None:
        """Give a message to a desk. Safe in signal handlers and finalisers; never waits for the ledger."""
        if self.store.lingers and isinstance(message, LATER):
            # Also those that cannot wait: whatever a holder says must not overtake what it said before.
            self._later.append((desk, message))
            if desk.line or not self._lingering:
                self._inbox.put(None)
        else:
            self._inbox.put((desk, message))
        if self._thread is None:
            self._start()

    def offered(self, process: str, seats: list[str]) -> None:
        """Slots are offered to seats of a process, as a wake-up message says."""
        self._inbox.put((process, seats))

    def listening(self) -> None:
        """The wake-up connection is up (again): what it missed must be asked for."""
        self._look_again = True
        self._inbox.put(None)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            try:
                self._thread = threading.Thread(target=self._run, name="admission-clerk", daemon=True)
                self._thread.start()
            except BaseException:
                # It could not be started, or a signal came meanwhile: the next message starts another.
                self._thread = None
                raise

    def drain(self, desks: list[Desk], seconds: float = DRAIN) -> int:
        """Deliver what is noted on these desks, for at most `seconds`; return how many notes are left."""
        box = ThreadBox(self.clock)
        for desk in desks:
            self.post(desk, Flush(box))
        until = self.clock.now() + seconds
        for _ in desks:
            if box.get(until) is None:
                break
        return sum(len(desk.outbox) for desk in desks)

    def drain_all(self) -> None:
        """Deliver what is noted, at the interpreter's exit."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return  # nothing is under way, or only in the process that this one was forked from
        # A desk that was closed had its time already.
        desks = [desk for desk in list(self._desks.values()) if not desk.closed]
        if desks:
            left = self.drain(desks)
            if left:
                logger.warning("admission: %d notes to the ledger could not be delivered before the exit", left)

    # The thread

    def _run(self) -> None:
        with self._starting:
            if self._thread is not threading.current_thread():
                return  # whoever started it was interrupted
        while True:
            try:
                while self._turn() or self._wait_idle():
                    pass
                self.store.disconnect()
                # Posters start a new thread only when they see none: give up first, then look once more.
                self._thread = None
                if self._inbox.empty() and not self._later:
                    return
                with self._starting:
                    if self._thread is not None:
                        return
                    self._thread = threading.current_thread()
            except Exception as error:  # whatever it is, nobody may wait for ever
                logger.exception("admission: the clerk failed; its callers are told")
                self._fail_all(error)
                time.sleep(self._retry_after)  # and nobody may be busy with what fails again at once
                self._retry_after = min(RETRY_MOST, 2 * self._retry_after)

    def _turn(self) -> bool:
        """Wait for work and do it; return whether any is left."""
        now = self.clock.now()
        self._receive(self._wait(now))
        if self.store.lingers and self._retry_at is None and self._only_notes():
            self._lingering = True
            try:
                self._receive(LINGER)
            finally:
                self._lingering = False
            # Whoever did not ring must be heard: now that nobody omits it any more, look once again.
            self._take_later()
        now = self.clock.now()
        if self._look_again:
            self._look_again = False
            for desk in list(self._desks.values()):
                desk.look_again(now)
                self._active[desk.process] = desk
        for at, desk in self._samples():
            if now >= at:
                self._active[desk.process] = desk
        for desk in self._active.values():
            desk.tick(now)
        if self._retry_at is None or now >= self._retry_at:
            self._exchange(now)
        for process, desk in list(self._active.items()):
            desk.check_closed()
            if not desk.outbox and desk.wake_at() is None:
                del self._active[process]
        return bool(self._active) or bool(self._samples()) or not self._inbox.empty()

    def _samples(self) -> list[tuple[float, Desk]]:
        """Return when desks ask how their accounts stand."""
        return [(at, desk) for desk in self._sampled if (at := desk.sample_at()) is not None]

    def _wait(self, now: float) -> float | None:
        """Return how long to wait for messages, real seconds; `None` where a virtual clock will ring."""
        times = [time for desk in self._active.values() if (time := desk.wake_at()) is not None]
        times += [at for at, _ in self._samples()]
        earliest = now if self._retry_at is None else self._retry_at
        times += [max(earliest, self._may_send_at(desk)) for desk in self._active.values() if desk.outbox]
        if not times:
            return 0.0
        return self.clock.arm(min(times), lambda: self._inbox.put(None))

    def _wait_idle(self) -> bool:
        """Nothing is under way: wait for something to come, and return whether it did."""
        try:
            self._take(self._inbox.get(timeout=IDLE))
        except queue.Empty:
            return False
        return True

    def _receive(self, timeout: float | None) -> None:
        """Take the messages that are there; wait for the first one."""
        try:
            self._take(self._inbox.get(timeout=timeout) if timeout != 0.0 else self._inbox.get_nowait())
            while True:
                self._take(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _take(self, item: tuple[Desk, Message] | tuple[str, list[str]] | None) -> None:
        self._take_later()
        if item is None:
            return
        first, second = item
        if isinstance(first, Desk):
            self._hand_over(first, second)  # type: ignore[arg-type]  # a desk comes with its message
        else:
            self._offer(first, second)  # type: ignore[arg-type]  # a process comes with its seats

    def _take_later(self) -> None:
        while self._later:
            self._hand_over(*self._later.popleft())

    def _hand_over(self, desk: Desk, message: Message) -> None:
        if desk.process not in self._active:
            self._desks[desk.process] = self._active[desk.process] = desk
            self._sampled.add(desk)
        desk.handle(message, self.clock.now())

    def _offer(self, process: str, seats: list[str]) -> None:
        desk = self._desks.get(process)
        if desk is not None:
            self._active[process] = desk
            desk.offered(seats, self.clock.now())

    def _only_notes(self) -> bool:
        """Whether all that is to be sent is notes that nobody waits for, and no line is served by them."""
        drafts = [draft for desk in self._active.values() for draft in desk.outbox]
        return (
            bool(drafts)
            and all(draft.note and draft.box is None and draft.want is None for draft in drafts)
            and not any(desk.line or desk.closing for desk in self._active.values())
        )

    def _exchange(self, now: float) -> None:
        """Send everything, take the replies."""
        sent: list[tuple[Desk, Draft]] = []
        batch: list[tuple[str, Who, Request]] = []
        for desk in self._active.values():
            if self._may_send_at(desk) > now:
                continue
            self._out |= dict.fromkeys(desk.outbox, desk)
            for draft, who, request in desk.take(now):
                sent.append((desk, draft))
                batch.append((desk.account, who, request))
        if not batch:
            return
        try:
            replies = self.store.exchange(batch)
        except StoreDown as down:
            self._failed(sent, down.cause)
            return
        self._take_replies(sent, replies)
        self._retry_at, self._retry_after = None, RETRY_FIRST
        for process, seat in self.store.offers():
            self._offer(process, [seat])
        if any(desk.callers.wants_ear for desk in self._active.values()):
            self.store.listen(self)

    def _take_replies(self, sent: list[tuple[Desk, Draft]], replies: list[Wire | Exception]) -> None:
        now = self.clock.now()
        unserved: dict[Desk, tuple[list[Draft], Exception]] = {}
        understood: set[Desk] = set()
        for (desk, draft), reply in zip(sent, replies, strict=True):
            if isinstance(reply, Exception):
                unserved.setdefault(desk, ([], reply))[0].append(draft)
                continue
            self._out.pop(draft, None)
            desk.replied(draft, reply, now)
            if reply[0] != Code.FOREIGN:
                understood.add(desk)
        for desk in dict.fromkeys(desk for desk, _ in sent):
            if desk in unserved:
                desk.failed(*unserved[desk], now)
                self._hold_off(desk, now)
            elif desk in understood:
                self._foreign.discard(desk)
                self._held_off.pop(desk, None)
            elif desk in self._foreign:
                # It spoke in the epoch that it was told of: whatever says foreign again is not asked without a pause.
                self._hold_off(desk, now)
            else:
                self._foreign.add(desk)
        self._out.clear()

    def _may_send_at(self, desk: Desk) -> float:
        return self._held_off.get(desk, (-math.inf, 0.0))[0]

    def _hold_off(self, desk: Desk, now: float) -> None:
        _, span = self._held_off.get(desk, (0.0, RETRY_FIRST))
        self._held_off[desk] = now + span, min(RETRY_MOST, 2 * span)

    def _failed(self, sent: list[tuple[Desk, Draft]], error: Exception) -> None:
        now = self.clock.now()
        unserved: dict[Desk, list[Draft]] = {}
        for desk, draft in sent:
            unserved.setdefault(desk, []).append(draft)
        for desk, drafts in unserved.items():
            desk.failed(drafts, error, now)
        self._out.clear()
        self._retry_at = now + self._retry_after
        self._retry_after = min(RETRY_MOST, 2 * self._retry_after)

    def _fail_all(self, error: Exception) -> None:
        """Tell whoever waits of a fault of our own, and keep the notes: nobody else will say what they say."""
        failure = AdmissionError(f"admission failed inside: {type(error).__name__}: {error}")
        left: dict[Desk, list[Draft]] = {desk: [] for desk in self._active.values()}
        for draft, desk in self._out.items():
            left.setdefault(desk, []).append(draft)
        self._out.clear()
        for desk, taken in left.items():
            drafts = dict.fromkeys([*taken, *desk.outbox])
            desk.outbox.clear()
            desk.outbox.put_first(draft for draft in drafts if draft.note)
            boxes = [want.box for want in desk.callers.wants.values()]
            boxes += [draft.box for draft in drafts if draft.box is not None and not draft.note]
            for box in boxes:
                box.put(Failed(failure))
            if any(draft.reads for draft in drafts):
                desk.reader.lost(failure)


_CLERKS: weakref.WeakSet[Clerk] = weakref.WeakSet()


@atexit.register
def _drain_at_exit() -> None:
    for clerk in list(_CLERKS):
        clerk.drain_all()
