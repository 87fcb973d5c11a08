"""The directive `lua-scripts`: what the ledger's Lua files do, by the headers that they begin with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

LUA = Path(__file__).parents[2] / "admission" / "ledger" / "lua"
LABEL = re.compile(r"(KEYS\[\d\]|ARGV\[[\d.]+\]|returns|writes|atomicity) +(.*)")


class Header(NamedTuple):
    """What a file's header says.

    Attributes:
        purpose: What it is for.
        listed: What the header lists, as it stands there.
        after: What it says after that.
        labels: The rest: by `ARGV[1]`, `returns`, ... what is said of it.
    """

    purpose: str
    listed: str
    after: str
    labels: dict[str, str]


def header_of(path: Path) -> Header:
    """Read a file's header."""
    purpose: list[str] = []
    listed: list[str] = []
    after: list[str] = []
    labels: dict[str, str] = {}
    label = ""
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("--") or line.startswith("--@"):
            break
        text = line.removeprefix("--").removeprefix(" ")
        if found := LABEL.match(text):
            label = found[1]
            labels[label] = found[2]
        elif label:
            labels[label] += " " + text.strip()
        elif text.startswith("  "):
            listed.append(text.removeprefix("  "))
        else:
            (after if listed else purpose).append(text)
    return Header(" ".join(purpose).strip(), "\n".join(listed), " ".join(after).strip(), labels)


def takers(name: str) -> list[str]:
    """Return the files that take a fragment, by name."""
    line = re.compile(rf"^--@(?:include|inline) {name}$", re.MULTILINE)
    return sorted(path.stem for path in LUA.rglob("*.lua") if line.search(path.read_text("utf-8")))


def of_script(name: str) -> list[str]:
    """Return the Markdown of a script's section."""
    header = header_of(LUA / f"{name}.lua")
    purpose = header.purpose.removeprefix(f"{name}: ")
    lines = [f"### {name}", "", f"{purpose[0].upper()}{purpose[1:]}", ""]
    taken = {label: said for label, said in header.labels.items() if label.startswith(("KEYS", "ARGV"))}
    if taken:
        lines += ["| | name | is |", "|---|---|---|"]
        for label, said in taken.items():
            word, _, what = said.partition(" ")
            lines.append(f"| `{label}` | `{word.removesuffix(':')}` | {what.strip()} |")
        lines.append("")
    returns = " ".join(f"`{word}`" if word != "|" else word for word in header.labels["returns"].split())
    lines += [f"- *Returns* {returns}"]
    lines += [f"- *{label.title()}*: {header.labels[label]}" for label in ("writes", "atomicity")]
    return [*lines, ""]


def of_fragment(name: str) -> list[str]:
    """Return the Markdown of a fragment's section."""
    header = header_of(LUA / "include" / f"{name}.lua")
    by = ", ".join(f"`{taker}`" for taker in takers(name))
    lines = [f"### include/{name}", "", header.purpose, ""]
    if header.listed:
        lines += ["```{code-block} text", ":class: wraps", header.listed, "```", "", header.after, ""]
    return [*lines, f"Taken by {by}.", ""]


class LuaScripts(SphinxDirective):
    """Tells of the scripts that are named, of all verbs (`verbs`), or of all fragments (`fragments`)."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        for path in LUA.rglob("*.lua"):
            self.env.note_dependency(str(path))
        if self.arguments[0] == "fragments":
            lines = [line for path in sorted((LUA / "include").glob("*.lua")) for line in of_fragment(path.stem)]
        elif self.arguments[0] == "verbs":
            names = sorted(path.stem for path in LUA.glob("*.lua") if path.stem != "requests")
            lines = [line for name in names for line in of_script(name)]
        else:
            lines = of_script(self.arguments[0])
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add it to the site."""
    app.add_directive("lua-scripts", LuaScripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
