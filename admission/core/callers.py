"""The callers of one process that want to start a call: what they ask of the ledger, and what they are told of it.

No I/O, no clock. Times are seconds of the process's own clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.messages import Answer, Failed, Forgotten, Handed, Offered
from admission.core.ownbooks import granted
from admission.core.spans import booking_spans, millis
from admission.ledger.replies import HEAD, Head, Verdict
from admission.ledger.requests import Ask, Claim, Withdraw
from admission.ledger.wire import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admission.core.drafts import Then
    from admission.core.handovers import HandOvers
    from admission.core.messages import Want
    from admission.core.outbox import Outbox
    from admission.core.ownbooks import OwnBooks
    from admission.core.reader import Reader
    from admission.ledger.requests import Request
    from admission.ledger.wire import Wire

SEATLESS = {Code.GRANTED, Code.FULL, Code.WITHDRAWN, Code.NO_LANE}
"""The verdicts after which a caller has no seat."""


class Callers:
    """Every caller that the ledger may have a seat for.

    Args:
        outbox: Takes what they ask for.
        own: Takes what they are granted.
        reader: Reads the provider, which some of them wait for.
        handovers: Takes what is handed over to them.
    """

    def __init__(self, outbox: Outbox, own: OwnBooks, reader: Reader, handovers: HandOvers) -> None:
        self._outbox = outbox
        self._own = own
        self._reader = reader
        self._handovers = handovers
        self.wants: dict[str, Want] = {}
        """What they want, by seat."""
        self.wants_ear: bool = False
        """Whether a seat was taken, so that offers must be listened for."""
        self.flows: bool = False
        """Whether the newest caller that asked was granted a slot at once: the next one may ask by itself."""

    def waiting_since(self) -> float | None:
        """Return when the first of them began to wait, `None` when none does."""
        first = next(iter(self.wants.values()), None)
        return None if first is None else first.since

    # What they say

    def ask(self, want: Want) -> None:
        """Ask for a slot, or for a seat in the line."""
        want.asked = True
        want.booked = want.stirred = False
        self.wants[want.seat] = want

        def make(now: float) -> Request:
            return ask_of(want, join=want.join, waited=now - want.since if want.again else 0.0)

        self._outbox.send(make, self._decided(want, asked=True), want.box, want=want)

    def ask_again(self, want: Want) -> None:
        """Wait for another try, which the provider's refusal asks for by itself."""
        want.asked = True
        self.wants[want.seat] = want
        self.wants_ear = True

    def claim(self, want: Want) -> None:
        """Claim the slot that was offered."""
        claim = Claim(want.seat, want.rid, want.lane, int(want.kind), *booking_spans(want.policy))
        self._outbox.send(lambda _: claim, self._decided(want), want.box, want=want)

    def _decided(self, want: Want, *, asked: bool = False) -> Then:
        """Return what to do with the verdict on an ask or a claim."""

        def then(head: Head, tail: Wire, sent_at: float) -> None:
            if want.gone or want.booked:
                return
            code, verdict = Code(head.code), Verdict(*tail)  # type: ignore[arg-type]  # the wire's order is the verdict's
            booking = None
            self.flows = code is Code.GRANTED
            if code is Code.GRANTED:
                booking = granted(want, sent_at - verdict.age / 1000)
                self._own.add(booking)
            elif code is Code.IN_LINE:
                self.wants_ear = True
                if asked and want.sleeps(sent_at):
                    want.seated = True
                    return
            elif code is Code.UNREAD and not want.join and want.box not in self._reader.watchers:
                self._reader.watchers.append(want.box)
            if not want.join or code in SEATLESS:
                self.wants.pop(want.seat, None)
                want.asked = code is Code.GRANTED
            want.box.put(Answer(code, verdict, booking, self._reader.last_error))

        return then

    def give_up(self, want: Want, *, answer: bool = False) -> None:
        """One does not want any more. `answer`: it waits to hear how the account stood."""
        if want.gone or not want.asked:
            return
        want.gone = True
        want.handed.clear()
        self.wants.pop(want.seat, None)
        self._own.bookings.pop(want.rid, None)
        self._outbox.forget(want)

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            want.box.put(Answer(Code(head.code), Verdict(*tail), None, self._reader.last_error))  # type: ignore[arg-type]  # same

        box = want.box if answer else None
        self._outbox.send(lambda _: Withdraw(want.seat, want.rid), then if answer else None, box)

    # What they are told

    def stir(self, seat: str) -> bool:
        """Have the caller in a seat look after what it is offered; return whether there is one."""
        want = self.wants.get(seat)
        if want is None:
            return False
        want.stirred = True
        if not want.box.put(Offered()):
            self.give_up(want)
        return True

    def offered(self, seats: Iterable[str]) -> None:
        """Slots are offered to these seats, as the ledger itself says."""
        for seat in seats:
            if not self.stir(seat):
                # Nobody here waits in it: an ask that came through after its caller had gone.
                self._withdraw(seat)

    def _withdraw(self, seat: str) -> None:
        self._outbox.send(lambda _: Withdraw(seat, ""))

    def hand_over(self, head: Head, sent_at: float, now: float) -> None:
        """Give them the slots that were claimed for them; what was told before is known."""
        for _, seat, rid, claimed in self._handovers.news(head.granted):
            want = self.wants.get(seat)
            if want is None or want.rid != rid:
                continue
            del self.wants[seat]
            want.booked = True
            booking = granted(want, sent_at - (head.now - claimed) / 1000)
            self._own.add(booking)
            self._handovers.give(want, booking, now)
            self.flows = False
            if not want.box.put(Handed()):
                self.give_up(want)

    def forgotten(self) -> None:
        """The ledger has forgotten their seats: let them ask anew."""
        for want in self.wants.values():
            want.again = want.stirred = True
            want.box.put(Forgotten())

    def fail(self, error: Exception) -> None:
        """None of them can be served."""
        for box in [*(want.box for want in self.wants.values()), *self._reader.watchers]:
            box.put(Failed(error))
        self._reader.watchers.clear()


def ask_of(want: Want, *, join: bool, waited: float = 0.0) -> Ask:
    """Return the request for a slot, or (`join`) for a seat of somebody who has waited so many seconds before."""
    spans = booking_spans(want.policy)
    return Ask(want.seat, want.rid, want.lane, int(want.kind), *spans, int(join), millis(waited))


def direct_answer(want: Want, reply: Wire, sent_at: float) -> Answer | None:
    """Return the answer to a caller that asked by itself at `sent_at`, where it was granted a slot."""
    if reply[0] != Code.GRANTED:
        return None
    verdict = Verdict(*reply[HEAD:])  # type: ignore[arg-type]  # the wire's order is the verdict's
    return Answer(Code.GRANTED, verdict, granted(want, sent_at - verdict.age / 1000))
