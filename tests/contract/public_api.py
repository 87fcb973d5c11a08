"""What users may write, as one text: every public name with its signature, attributes and defaults, and the commands.

`python -m tests.contract.public_api` writes it anew to `public_api.txt`.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import admission
from admission.cli import exits
from admission.cli.main import _parser

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

TEXT = Path(__file__).with_name("public_api.txt")
PACKAGE = Path(admission.__file__).parent
MODULES = (
    "admission", "admission.dashboard", "admission.hooks", "admission.integrations.arq",
    "admission.integrations.celery", "admission.integrations.dramatiq", "admission.integrations.httpx",
    "admission.integrations.otel",
    "admission.integrations.prometheus", "admission.integrations.rq", "admission.integrations.webhooks",
    "admission.sources", "admission.testing", "admission.testing.transport",
)  # fmt: skip
"""The modules that users import from; of one without `__all__` what it defines itself."""
WIDTH = 120


def text() -> str:
    """Return it all."""
    public = {module: names(module) for module in MODULES}
    classes = {thing for module in MODULES for name in public[module] if inspect.isclass(thing := named(module, name))}
    shown: dict[Any, str] = {}
    lines: list[str] = []
    for module in MODULES:
        lines += ["", module, ""]
        for name in public[module]:
            thing = named(module, name)
            if inspect.isclass(thing) and thing in shown:
                lines.append(f"  {name}: that of {shown[thing]}")
                continue
            lines += (f"  {line}" for line in described(name, thing, classes))
            if inspect.isclass(thing):
                shown[thing] = module
    lines += ["", "pytest fixtures", "", *(f"  {line}" for line in fixtures())]
    lines += ["", "commands", "", *(f"  {line}" for line in commands())]
    lines += ["", "exit codes", "", *(f"  {name} {code}" for name, code in vars(exits).items() if type(code) is int)]
    lines += ["", "environment", "", *(f"  {name}" for name in variables())]
    return "\n".join(lines[1:]) + "\n"


def named(module: str, name: str) -> Any:
    """Return what a name of a module stands for."""
    return getattr(import_module(module), name)


def names(module: str) -> list[str]:
    """Return the public names of a module."""
    found = vars(import_module(module))
    if "__all__" in found:
        return sorted(found["__all__"])
    own = (name for name, thing in found.items() if getattr(thing, "__module__", "") == module and name[0] != "_")
    return sorted(name for name in own if inspect.isclass(found[name]) or inspect.isfunction(found[name]))


def described(name: str, thing: Any, classes: set[Any]) -> Iterator[str]:
    """Return the lines about a name; what a class has from another of `classes` is left out."""
    if inspect.isfunction(thing):
        yield from call(name, thing).split("\n")
    elif inspect.isclass(thing):
        bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object and base.__name__[0] != "_")
        yield f"class {name}({bases})" if bases else f"class {name}"
        kept = classes & set(thing.__mro__[1:])
        if "__init__" in vars(thing) or not kept:
            yield from made(thing)
        for told in sorted({*attributes(thing, kept), *methods(thing, kept)}):
            yield from (f"  {line}" for line in told.split("\n"))
    else:
        yield f"{name} = {value(thing)}"


def made(kind: type) -> Iterator[str]:
    """Return how an object of a class is made, unless that is never by callers."""
    if not getattr(kind, "_is_protocol", False) and (inspect.isfunction(kind.__init__) or hasattr(kind, "_fields")):
        yield from (f"  {line}" for line in call("", kind).split("\n"))


def methods(kind: type, kept: set[type]) -> Iterator[str]:
    """Return the public methods and properties of a class."""
    for owner in kind.__mro__:
        if not owner.__module__.startswith("admission") or owner in kept:
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") and name not in {"__enter__", "__aenter__", "__call__"}:
                continue
            found = inspect.unwrap(getattr(kind, name)) if not isinstance(member, property) else member
            if isinstance(found, property):
                yield f"{name}: {annotation(found.fget.__annotations__.get('return'))}"  # type: ignore[union-attr]
            elif callable(found) and not inspect.isclass(found):
                how = "classmethod " if isinstance(member, classmethod) else ""
                yield how + call(name, found)


def attributes(kind: type, kept: set[type]) -> Iterator[str]:
    """Return the public attributes of a class's objects: fields, and what `__init__` sets."""
    if dataclasses.is_dataclass(kind):
        yield from (f"{field.name}: {annotation(field.type)}" for field in dataclasses.fields(kind))
        return
    for owner in kind.__mro__:
        if not owner.__module__.startswith("admission") or owner in kept:
            continue
        for name, told in inspect.get_annotations(owner).items():
            if not name.startswith("_"):
                yield f"{name}: {annotation(told)}"
        if "__init__" in vars(owner) and inspect.isfunction(owner.__init__):
            yield from _set(owner.__init__)


def _set(init: types.FunctionType) -> Iterator[str]:
    parameters = inspect.signature(init).parameters
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(init)))):
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if not isinstance(target, ast.Attribute) or target.attr.startswith("_") or ast.unparse(target.value) != "self":
            continue
        told = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else None
        given = node.value.id if isinstance(node.value, ast.Name) else ""  # type: ignore[union-attr]
        if told is None and given in parameters:
            told = parameters[given].annotation
        yield f"{target.attr}: {annotation(told)}"


def call(name: str, function: Any) -> str:
    """Return a signature as it is written."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    written, kinds = [], {p.kind for p in parameters}
    for place, one in enumerate(parameters):
        if one.kind is one.KEYWORD_ONLY and one.VAR_POSITIONAL not in kinds and "*" not in written:
            written.append("*")
        star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        default = "" if one.default is one.empty else f" = {value(one.default)}"
        written.append(f"{star}{one.name}: {annotation(one.annotation)}{default}")
        last = place + 1 == len(parameters) or parameters[place + 1].kind is not one.POSITIONAL_ONLY
        if one.kind is one.POSITIONAL_ONLY and last:
            written.append("/")
    how = "async " if inspect.iscoroutinefunction(function) else ""
    answer = "" if not name else f" -> {annotation(signature.return_annotation)}"
    line = f"{how}{name}({', '.join(written)}){answer}"
    if len(line) + len("    ") <= WIDTH:
        return line
    return "\n".join([f"{how}{name}(", *(f"    {one}," for one in written), f"){answer}"])


def annotation(told: Any) -> str:
    """Return a type as it is written."""
    if told in {inspect.Parameter.empty, None}:
        return "None" if told is None else "?"
    return (
        told if isinstance(told, str) else getattr(told, "__name__", str(told)) if inspect.isclass(told) else str(told)
    )


def value(thing: Any) -> str:
    """Return a default or a constant as it is written."""
    if inspect.isfunction(thing) or inspect.isbuiltin(thing) or inspect.isclass(thing):
        return f"{thing.__module__}.{thing.__qualname__}"
    if isinstance(thing, frozenset):
        return f"{{{', '.join(sorted(map(repr, thing)))}}}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(thing))


def fixtures() -> Iterator[str]:
    """Return the fixtures of the pytest plugin."""
    tree = ast.parse((PACKAGE / "testing" / "plugin.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and "fixture" in map(_last, node.decorator_list):
            yield f"{node.name}: {ast.unparse(node.returns) if node.returns else '?'}"


def _last(decorator: ast.expr) -> str:
    return ast.unparse(decorator).partition("(")[0].rpartition(".")[2]


def commands() -> Iterator[str]:
    """Return the commands, each with its arguments."""
    (choices,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, parser in choices.choices.items():
        yield f"admission {name}"
        for action in parser._actions:
            if not isinstance(action, argparse._HelpAction):
                shown = "" if action.nargs == 0 else f" {action.metavar or (action.dest.upper())}"
                yield f"  {', '.join(action.option_strings) or action.dest}{shown} = {value(action.default)}"


def variables() -> list[str]:
    """Return the environment variables that are read."""
    sources = (path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    return sorted({name for source in sources for name in re.findall(r'"((?:ADMISSION|PURETALK)_[A-Z_]+)"', source)})


if __name__ == "__main__":
    TEXT.write_text(text(), "utf-8")
