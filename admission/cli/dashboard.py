"""`dashboard`: serve the account's web page until a signal comes."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from admission.aguard import AsyncGuard
from admission.cli import exits
from admission.cli.account import fleet_settings
from admission.cli.arguments import ENVIRONMENT, SIGNAL, USUAL, add, whole
from admission.cli.signals import heeded
from admission.cli.text import hide, write
from admission.dashboard.app import LOOPBACK, Dashboard
from admission.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from admission.cli.arguments import Commands

TOKEN = "ADMISSION_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable
PORT = 8765
LEAVING = 2
"""Seconds that open connections have to end."""


def add_dashboard(commands: Commands) -> None:
    """Add `dashboard`."""
    parser = add(
        commands,
        "dashboard",
        _dashboard,
        summary="serve a web page that shows the account live",
        description="Serve one web page: what `admission watch` shows, live, and buttons to pause and resume when "
        "there is a\ntoken. It asks the ledger once a second for all who look on, and never the provider. By default "
        "only this\nmachine reaches it; with another --host even looking on takes the token. There is no TLS: put a "
        "proxy before\nit that has. Needs a ledger that is shared, and the extra `dashboard`.",
        codes=exits.epilog(*USUAL, **{"128_n": f"{SIGNAL}, Ctrl-C too"}),
        environment=f"{ENVIRONMENT}  {TOKEN}\n                       what a browser must send to pause and resume\n",
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=whole(0, 65_535), default=PORT, metavar="P", help=f"0 for a free one ({PORT})")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="N",
        help="a name under which browsers may ask for it, besides --host and those of this machine itself; may be "
        "repeated",
    )


def _dashboard(chosen: argparse.Namespace) -> int:
    try:
        import uvicorn  # noqa: F401, PLC0415 - only to know whether it is there
    except ImportError as error:
        raise ConfigurationError("the dashboard needs uvicorn: install admission[dashboard]") from error
    settings = fleet_settings("show")
    return asyncio.run(_serve(chosen.host, chosen.port, chosen.name, settings))


def made(guard: AsyncGuard, host: str, names: list[str]) -> Dashboard:
    """Return the dashboard as it is served at an address.

    Raises:
        ConfigurationError: Others could see it, and there is no token.
    """
    token = os.environ.get(TOKEN) or None
    is_private = not is_loopback(host)
    if is_private and token is None:
        raise ConfigurationError(
            f"--host {host}: others than this machine could look on; set {TOKEN} to a secret that they must know"
        )
    hosts = {*LOOPBACK, *names, f"[{host}]" if ":" in host else host}
    return Dashboard(
        guard, token=token, private=is_private, hosts=None if is_private and not names else hosts, clean=hide
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _serve(host: str, port: int, names: list[str], settings: dict[str, Any]) -> int:
    async with AsyncGuard.from_env(**settings) as guard:
        app = made(guard, host, names)
        with _listening(host, port) as listener:
            shown = f"[{host}]" if ":" in host else host
            write(f"http://{shown}:{listener.getsockname()[1]}/")
            return await _until_a_signal(app, listener)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigurationError(f"--host {host} --port {port}: cannot listen there ({why})") from error
    with listener:
        yield listener


async def _until_a_signal(app: Dashboard, listener: socket.socket) -> int:
    import uvicorn  # noqa: PLC0415 - belongs to the extra

    class Server(uvicorn.Server):
        """Leaves the signals to us: streams must end before it can."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    server = Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=LEAVING,
        )
    )
    caught: list[int] = []

    def end(signum: int) -> None:
        caught.append(signum)
        app.close()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for signum in heeded("SIGINT", "SIGTERM", "SIGHUP"):
        loop.add_signal_handler(signum, end, signum)
    await server.serve(sockets=[listener])
    return exits.BY_SIGNAL + caught[0] if caught else exits.OK
