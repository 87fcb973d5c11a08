"""The tutorial, typed as it stands: its files saved, its commands run in three terminals."""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.shell import Shell
from tests.servers import free_port, redis_server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
BLOCK = re.compile(r"^```(python|sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
STAYS = {
    "python dialer.py left": ("", b"", ""),
    "python provider.py": ("the provider is at", b"\x03", ""),
    "admission watch": ("free", b"q", "1049l"),
    "admission dashboard": ("http://", b"\x03", ""),
    "uvicorn": ("running on", b"\x03", ""),
}
"""Commands that are not waited for: what they show first, the key that ends them, and what they show last."""
LEFT_OUT = ("python3 -m venv", "pip install", "docker run", "redis-server", "admission demo")
"""Commands for what is there already, and one that `integration/test_cli_demo.py` runs."""


class Desk:
    """A reader's folder and terminals.

    Args:
        stack: Ends them.
        home: The reader's home.
        redis_url: Where the fleet's Redis is.

    Attributes:
        shown: What each command wrote.
    """

    def __init__(self, stack: ExitStack, home: Path, redis_url: str) -> None:
        self._stack = stack
        self._home = home
        self._folder = home / "calls"
        self._instead = {port: str(free_port()) for port in ("8900", "8901", "8765")}
        self._instead["redis://127.0.0.1:6379/0"] = redis_url
        self._shells: dict[str, Shell] = {}
        self._ends: dict[str, list[bytes | str]] = {}
        self.shown: dict[str, str] = {}
        activate = self._folder / ".venv" / "bin" / "activate"
        activate.parent.mkdir(parents=True)
        activate.write_text(f'export PATH="{Path(sys.executable).parent}:$PATH" PYTHONPATH="{ROOT}"\n')

    def shell(self, name: str) -> Shell:
        if name not in self._shells:
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("PURETALK_", "ADMISSION_"))}
            env = {**kept, "HOME": str(self._home), "ADMISSION_DASHBOARD_TOKEN": ""}
            self._shells[name] = self._stack.enter_context(Shell(env, str(self._home)))
        return self._shells[name]

    def take(self, kind: str, text: str) -> None:
        """Save a file, or type commands."""
        for said, done in self._instead.items():
            text = text.replace(said, done)
        named = re.match(r"# ([\w.]+( terminal)?)", text)
        if kind == "console":
            lines = [line for line in text.splitlines() if not line.startswith(("#", *LEFT_OUT))]
            self._type(named[1] if named else "first terminal", lines)
        else:
            (self._folder / named[1]).write_text(text, "utf-8")

    def _type(self, name: str, lines: list[str]) -> None:
        shell = self.shell(name)
        for line in lines:
            if end := self._ends.pop(name, None):
                shell.press(*end)
            stays = next((how for words, how in STAYS.items() if line.startswith(words)), None)
            if stays:
                until, *self._ends[name] = stays
                port = f" --port {self._instead['8765']}" if "dashboard" in line else ""
                shell.leave_running(line + port, until)
            else:
                self.shown[line] = self.shown.get(line, "") + shell.run(line)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_works_as_it_stands(tmp_path):
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) > 20
    with redis_server() as server, ExitStack() as stack:
        desk = Desk(stack, tmp_path, server.url)
        for kind, text in blocks:
            desk.take(kind, text)
        provider = desk.shell("first terminal")
        provider.press(b"\x03")
    said = re.findall(r"most at once: (\d+); refused: (\d+)", provider.screen)
    assert said[-1] == ("3", "0")
    shown = desk.shown
    assert re.search(r"limit +3\ncount +0\n", shown["admission status"])
    assert "paused       yes: the script is wrong" in shown["admission status"]
    assert len(re.findall(r"crowd-\d: waited", shown["python dialer.py crowd 6"])) == 6
    assert "call-" in shown["python job.py ann"]
    assert len(re.findall(r"right-\d: waited", shown["python dialer.py right 5"])) == 5
    assert "Status(account=" in shown["python campaign.py"]
    with_call, without = re.findall(r"(\d+) booked on", shown["admission holders"])
    assert (with_call, without) == ("1", "0")
    assert not re.search("^error", shown["admission doctor"], re.MULTILINE)
