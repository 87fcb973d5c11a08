"""`watch`, from its arguments to its exit code: asks the ledger, takes keys and signals, and draws."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from admission.aguard import AsyncGuard
from admission.cli import exits
from admission.cli.account import fleet_settings
from admission.cli.arguments import SIGNAL, USUAL, add
from admission.cli.signals import heeded
from admission.cli.text import hide, printable, say
from admission.cli.watch.keyboard import Keys, Order, Prompt, keys_of
from admission.errors import AdmissionError, ConfigurationError
from admission.views.feed import Feed, Moment

if TYPE_CHECKING:
    import argparse

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from admission.cli.arguments import Commands

SHOWN = 6.0
"""Seconds for which it is shown what came of a key."""

Event: TypeAlias = "Moment | list[str] | signal.Signals | BaseException | str | None"
"""What happens: a moment, keys, a signal, a fault, word of an order that was carried out, or another size (`None`)."""


def add_watch(commands: Commands) -> None:
    """Add `watch`."""
    add(
        commands,
        "watch",
        _watch,
        summary="watch the account live on the terminal, pause and resume",
        description="Show the account live: what is in use of the limit, and what that is made of, the last minutes, "
        "the\nlanes, the line, the newest reading. `p` pauses the fleet (it asks for a reason) and resumes it, `q` "
        "ends.\nAsks the ledger once a second and never the provider. Needs a ledger that is shared, a terminal, and "
        "the\nextra `cli`; NO_COLOR is heeded.",
        codes=exits.epilog(*USUAL, **{"128_n": f"{SIGNAL}, Ctrl-C too"}),
    )


def _watch(_chosen: argparse.Namespace) -> int:
    try:
        from rich.console import Console  # noqa: PLC0415 - belongs to the extra
    except ImportError as error:
        raise ConfigurationError("watch needs rich: install admission[cli]") from error
    settings = fleet_settings("watch")
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        say("watch needs a terminal; `admission status` shows the account once")
        return exits.USAGE
    return asyncio.run(_run(Console(), settings))


async def _run(console: Console, settings: dict[str, Any]) -> int:
    guard = AsyncGuard.from_env(**settings)
    watch = Watch(guard, console)
    try:
        return await watch.run()
    finally:
        await guard.close()


class Watch:
    """One watching.

    Args:
        guard: Whose account is shown.
        console: Where.
    """

    def __init__(self, guard: AsyncGuard, console: Console) -> None:
        self._guard = guard
        self._console = console
        self._feed = Feed(guard, clean=hide)
        self._prompt = Prompt(f"by {_operator()}, with admission watch")
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._told, self._told_at = "", 0.0
        self._orders: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Show the account until somebody wants an end; return the exit code."""
        from rich.live import Live  # noqa: PLC0415 - belongs to the extra

        loop, fd = asyncio.get_running_loop(), sys.stdin.fileno()
        keys = Keys(fd)
        viewer = asyncio.create_task(self._look_on())
        try:
            with ExitStack() as stack:
                for signum in heeded("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
                    # A signal in the middle of what follows must find the terminal's former state put back, too.
                    loop.add_signal_handler(signum, self._events.put_nowait, signum)
                    stack.callback(loop.remove_signal_handler, signum)
                loop.add_signal_handler(signal.SIGWINCH, self._events.put_nowait, None)
                stack.callback(loop.remove_signal_handler, signal.SIGWINCH)
                stack.enter_context(keys_of(fd))
                loop.add_reader(fd, lambda: self._events.put_nowait(_read(keys)))
                stack.callback(loop.remove_reader, fd)
                live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False)
                stack.enter_context(live)
                return await self._until_the_end(live)
        finally:
            for task in (viewer, *self._orders):
                task.cancel()
            await asyncio.gather(viewer, *self._orders, return_exceptions=True)

    async def _until_the_end(self, live: Live) -> int:
        self._draw(live)
        while True:
            match await self._events.get():
                case signal.Signals() as signum:
                    return exits.BY_SIGNAL + signum
                case BaseException() as error:
                    raise error
                case list(pressed):
                    if self._press(pressed):
                        return exits.OK
                case str(told):
                    self._tell(told)
                case _:
                    pass
            self._draw(live)

    async def _look_on(self) -> None:
        try:
            async with aclosing(self._feed.moments()) as moments:
                async for moment in moments:
                    self._events.put_nowait(moment)
        except Exception as error:  # noqa: BLE001 - it is raised by whoever takes the events
            self._events.put_nowait(error)

    # Keys

    def _press(self, pressed: list[str]) -> bool:
        """Take keys; return whether one of them ends the watching."""
        for key in pressed:
            order = self._prompt.press(key, paused=self._paused())
            if order is None:
                continue
            if order.verb == "quit":
                return True
            task = asyncio.create_task(self._carry_out(order))
            self._orders.add(task)
            task.add_done_callback(self._orders.discard)
        return False

    def _paused(self) -> bool:
        return next((m.status.paused for m in reversed(self._feed.history) if m.status is not None), False)

    async def _carry_out(self, order: Order) -> None:
        self._events.put_nowait(f"{order.verb}: asking the ledger")
        try:
            if order.verb == "pause":
                await self._guard.pause(order.reason)
                said = "the fleet is paused"
            else:
                await self._guard.resume()
                said = "the fleet goes on"
        except AdmissionError as error:
            said = f"{order.verb} failed: {printable(hide(str(error)))}"
        self._events.put_nowait(said)

    # What is seen

    def _tell(self, told: str) -> None:
        self._told, self._told_at = told, time.monotonic()

    def _draw(self, live: Live) -> None:
        from admission.cli.watch.screen import View  # noqa: PLC0415 - belongs to the extra

        view = View(self._guard.account, tuple(self._feed.history), self._guard.policy, self._footer(), time.time())
        live.update(view, refresh=True)

    def _footer(self) -> Text:
        from rich.text import Text  # noqa: PLC0415 - belongs to the extra

        from admission.cli.watch.screen import keys_line  # noqa: PLC0415 - same

        if self._prompt.asks == "pause":
            typed = self._prompt.typed
            room = max(8, self._console.width - 46)
            return Text.assemble(
                ("pause, reason: ", "bold"),
                (typed[-room:], ""),
                ("_", "blink"),
                ("   enter pauses, esc does not", "dim"),
            )
        if self._prompt.asks == "resume":
            return Text("resume the fleet? p again resumes, any other key does not", "bold")
        keys = [("p", "resume" if self._paused() else "pause"), ("q", "quit")]
        line = keys_line(keys)
        if time.monotonic() - self._told_at < SHOWN:
            line.append(f"   {self._told}", "bold")
        return line


def _read(keys: Keys) -> Event:
    pressed = keys.read()
    # A terminal that is gone is as good as a hang-up.
    return signal.Signals(signal.SIGHUP) if pressed is None else pressed


def _operator() -> str:
    """Return who watches, for the fleet's record of a pause without a reason."""
    name = "somebody"
    with suppress(OSError, KeyError):
        name = getpass.getuser()
    return f"{name}@{socket.gethostname()}"[:100]
