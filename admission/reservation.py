"""A reservation as its holder sees it, and which one encloses the running code."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import os
import threading
import time
import warnings
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.core.exits import ByValue, Exit, RefusedCall, Unknown, Unplaced
from admission.core.messages import SayEnded, SayLeft, SayPlaced, SayRefused
from admission.errors import ConfigurationError
from admission.ledger.wire import Kind
from admission.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.clocks import Clock
    from admission.core.messages import Booking, Message, Want


LONGEST_CALL_ID = 200


def clean_call_id(call_id: object) -> str:
    """Return a call id as the ledger keeps it: text, and a digest of what is too long; empty where there is none.

    Raises:
        ConfigurationError: `str` makes no text of it.
    """
    if call_id is None:
        return ""
    text = call_id if type(call_id) is str else _text_of(call_id)
    if len(text) <= LONGEST_CALL_ID:
        return text.encode("utf-8", "backslashreplace").decode()
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def required_call_id(call_id: object) -> str:
    """Return the id of a call that is known by nothing else.

    Raises:
        ConfigurationError: There is none, or `str` makes no text of it.
    """
    text = clean_call_id(call_id)
    if not text:
        raise ConfigurationError("the call id is missing (None, or an empty text): give the provider's id of the call")
    return text


def _text_of(call_id: object) -> str:
    try:
        return str(call_id)
    except Exception as exc:
        raise ConfigurationError(f"a call id of type {type(call_id).__name__} cannot be written as text") from exc


class Reservation:
    """One admitted slot. Its methods are plain calls in both colours: they note what happened and never wait or raise.

    Attributes:
        id: The reservation's id, unique for ever.
        lane: Its lane.
        account: Its account.
        granted_at: When it was claimed, seconds since the epoch (Unix time).
        waited: Seconds from asking to the claim.
        call_id: The id told with `placed`, or `None`.
    """

    __slots__ = ("__weakref__", "_booking", "_clock", "_left", "_pid", "_post", "account", "granted_at", "waited")

    def __init__(self, booking: Booking, account: str, post: Callable[[Message], None], clock: Clock) -> None:
        self._left = True
        self._booking = booking
        self._post = post
        self._clock = clock
        self._pid = os.getpid()
        self.account: str = account
        self.waited: float = booking.waited
        self.granted_at: float = time.time() - (clock.now() - booking.granted_at)
        self._left = False

    def __repr__(self) -> str:
        state = "left" if self._left else "placed" if self._booking.placed else "claimed"
        return f"<Reservation {self.id} account={self.account} lane={self.lane} {state}>"

    def __del__(self) -> None:
        # An exception that a signal raised may have come before anything was set.
        if not getattr(self, "_left", True) and self._pid == os.getpid():
            text = f"{self!r} was never left; its slot is booked until its settle time"
            # Left first: the warning may be an error.
            self._leave(Unknown())
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)

    @property
    def id(self) -> str:
        """The reservation's id."""
        return self._booking.rid

    @property
    def lane(self) -> str:
        """The reservation's lane."""
        return self._booking.lane

    @property
    def call_id(self) -> str | None:
        """The id told with `placed`, or `None`."""
        return self._booking.call_id or None

    @property
    def deadline(self) -> float:
        """When the call must have been placed, seconds since the epoch; moves along while a `place` block is open."""
        return time.time() + (self._booking.deadline - self._clock.now())

    def placed(self, call_id: object = None) -> None:
        """Say that the provider has accepted the call.

        Args:
            call_id: The provider's id of the call, if known; text, or anything that `str` tells apart.
        """
        self._placed(call_id, leaving=False)

    def _placed(self, call_id: object, *, leaving: bool) -> None:
        if self._left or self._pid != os.getpid():
            return
        at = self._clock.now()
        booking = self._booking
        late = not booking.placed and at > booking.deadline
        try:
            call_id = clean_call_id(call_id) or booking.call_id
        except ConfigurationError:
            # The call is placed, whatever its id is.
            logger.exception("admission: the call of %r is booked without its id", self)
            call_id = booking.call_id
        # Told before it is marked, here and below: an exception that a signal raises in between may make it be told
        # twice, which changes nothing, and never leaves it untold.
        self._post(SayPlaced(booking.rid, at, late, call_id, leaving))
        booking.placed, booking.call_id = True, call_id
        self._left = self._left or leaving

    def ended(self) -> None:
        """Say that the call is surely over: its slot leaves the books at once."""
        if not self._left and self._pid == os.getpid():
            self._post(SayEnded(self.id, placed=True))
            self._left = True

    def cancel(self) -> None:
        """Say that the call was surely not placed. After `placed` this is a contradiction, logged and ignored."""
        if self._left or self._pid != os.getpid():
            return
        if self._booking.placed:
            logger.warning("%r: cancel() after placed() is ignored; say ended() when the call is over", self)
            return
        self._leave(Unplaced())

    def release(self) -> None:
        """Leave by value, for a reservation that was taken with `acquire`.

        Without `placed` its slot is booked for the visibility lag from now on: where the dial may still be accepted,
        say it no sooner than `deadline`.
        """
        self._leave(ByValue())

    def _leave(self, way: Exit, again: Want | None = None) -> None:
        """Note how the block was left, once; in a forked child, do nothing."""
        if self._left or self._pid != os.getpid():
            return
        booking = self._booking
        if isinstance(way, ByValue) and booking.kind is not Kind.HOLD and not booking.placed:
            # Returning from a block that places says that the call was accepted.
            self._placed(None, leaving=True)
            return
        at = self._clock.now()
        match way:
            case ByValue():
                self._post(SayLeft(booking.rid, at, by_value=True))
            case Unknown():
                self._post(SayLeft(booking.rid, at, by_value=False))
            case Unplaced():
                self._post(SayEnded(booking.rid, placed=False))
            case RefusedCall(retry_after):
                self._post(SayRefused(booking.rid, at, retry_after, again))
        self._left = True


@dataclass(eq=False, slots=True)
class Enclosing:
    """A block that encloses the running code, and the block around that. A forgotten one can be collected."""

    reservation: weakref.ref[Reservation]
    owner: object
    outer: Enclosing | None
    over: bool = False
    """It was left while it was not the innermost one, or by another task or thread than entered it."""


_enclosing: contextvars.ContextVar[Enclosing | None] = contextvars.ContextVar("admission_enclosing", default=None)


def this_owner() -> object:
    """Return what stands for the running task, or thread where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task if task is not None else threading.get_ident()


def enter(reservation: Reservation) -> Enclosing:
    """Make a reservation the current one; return what `leave` takes."""
    outer = block = _open(_enclosing.get())
    # Blocks may be left in any order: those in between that are over would pile up.
    while block is not None:
        block.outer = _open(block.outer)
        block = block.outer
    entered = Enclosing(weakref.ref(reservation), this_owner(), outer)
    _enclosing.set(entered)
    return entered


def leave(block: Enclosing) -> None:
    """Have a block enclose nothing any more: the innermost one that is still open is the current one then."""
    is_current = _enclosing.get() is block
    if not is_current or block.owner != this_owner():
        # Others are around it, or its own context (of a fixture, a generator) is another one, which finds it so.
        block.over = True
    # A task that failed would be kept by its own error, whose frames have the block.
    block.owner = None
    if is_current:
        _enclosing.set(_open(block.outer))


def _open(block: Enclosing | None) -> Enclosing | None:
    """Return the innermost block, from this one outwards, that is not over."""
    while block is not None and (block.over or block.reservation() is None):
        block = block.outer
    return block


def encloses(account: str) -> bool:
    """Whether a block of this account encloses the running code in the same task or thread."""
    block = _enclosing.get()
    while block is not None:
        reservation = block.reservation()
        is_open = reservation is not None and reservation.account == account and not reservation._left  # noqa: SLF001 - this module's own
        if is_open and block.owner == this_owner():
            return True
        block = block.outer
    return False


def current_reservation() -> Reservation:
    """Return the reservation of the enclosing `hold` or `place` block.

    Raises:
        LookupError: No block encloses the running code; a new thread does not inherit one.
    """
    block = _open(_enclosing.get())
    reservation = None if block is None else block.reservation()
    if reservation is None:
        raise LookupError("no admission block encloses this code")
    return reservation
