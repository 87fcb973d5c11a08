"""The pages of the reference have what the code has: exit codes, keys, public names."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import admission
from admission.cli import exits
from admission.ledger import scripts

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
LUA = Path(scripts.__file__).parent / "lua"
MODULES = ["admission", "admission.hooks", "admission.sources", "admission.testing", "admission.dashboard"]
"""Modules that say in `__all__` what is public."""
INTEGRATIONS = {
    "arq": "admitted", "celery": "admitted", "dramatiq": "admitted", "rq": "admitted", "otel": "OpenTelemetryHook",
    "prometheus": "PrometheusHook", "webhooks": "Webhooks", "httpx": "AdmissionTransport",
}  # fmt: skip
INSIDE = {"__init__", "handback", "metrics", "extras"}


def page(name):
    return (REFERENCE / name).read_text("utf-8")


def documented():
    """Every full name that the pages take from the code."""
    found = set()
    for path in REFERENCE.rglob("*.md"):
        module = ""
        for what, name in re.findall(r"^\.\. (\w+):: ([\w.]+)", path.read_text("utf-8"), re.MULTILINE):
            if what in {"currentmodule", "automodule"}:
                module = name
            elif what.startswith("auto"):
                found.add(name if name.startswith("admission.") else f"{module}.{name}")
    return found


def thing(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_place_in_the_reference(module):
    shown = {id(thing(name)) for name in documented()}
    public = importlib.import_module(module).__all__
    assert [name for name in public if id(getattr(importlib.import_module(module), name)) not in shown] == []


def test_every_integration_has_its_place_in_the_reference():
    folder = Path(admission.__file__).parent / "integrations"
    assert {path.stem for path in folder.glob("*.py")} == {*INTEGRATIONS, *INSIDE}
    assert {f"admission.integrations.{module}.{name}" for module, name in INTEGRATIONS.items()} <= documented()


def test_the_page_has_every_exit_code_and_no_other():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page("command-line.md"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == exits.MEANINGS
    assert f"| {exits.BY_SIGNAL}+n |" in page("command-line.md")


def test_the_page_has_every_key_as_the_script_tells_it():
    told = re.findall(r"^-- KEYS\[\d\] +(\w+) +(\w+): (.+)$", (LUA / "requests.lua").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"^\| `admission:\{acme\}:(\w+)` \| (\w+) \| (.+) \|$", page("redis.md"), re.MULTILINE) == told
    assert [f"admission:{{acme}}:{name}" for name, _, _ in told] == list(scripts.keys("acme"))


def test_the_page_has_every_record_and_the_channel():
    listed = (LUA / "include" / "records.lua").read_text("utf-8")
    records = set(re.findall(r"^--   (\w+(?:<\w+>)?)  ", listed, re.MULTILINE))
    table = page("redis.md").split("\n## What is stored\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`([\w<>]+)`", "\n".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)))) == records
    assert f"`{scripts.wake_channel('<process>.1')}`" in page("redis.md")


ERRORS = {
    name: kind
    for name, kind in vars(admission).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not admission.AdmissionError
}


def of_errors(heading):
    """The rows of a table of the page on errors, by their cells."""
    text = page("errors.md").split(f"\n## {heading}\n")[1] if heading else page("errors.md")
    rows = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_has_the_tree_of_errors():
    tree = page("errors.md").split("```text\n")[1].split("```")[0]
    lines = re.findall(r"^([│├└─ ]*)(\w+)", tree, re.MULTILINE)
    parents, found = ["Exception"], {}
    for indent, name in lines:
        del parents[len(indent) // 4 + 1 :]
        found[name] = parents[-1]
        parents.append(name)
    kinds = {"AdmissionError": admission.AdmissionError, **ERRORS}
    assert found == {
        name: kind.__base__.__name__ for name, kind in kinds.items() if issubclass(kind, admission.AdmissionError)
    }
    raised = [name for name, _ in zip(found, lines, strict=True) if name not in found.values()]
    assert [f"`{name}`" for name in raised] == [row[0] for row in of_errors("")]


def test_the_page_has_every_fact_of_every_error():
    told = {(error, row[0].strip("`")) for row in of_errors("Facts") for error in re.findall(r"`(\w+)`", row[1])}
    facts = {(name, fact) for name, kind in ERRORS.items() for fact in inspect.get_annotations(kind)}
    assert told == facts


def test_the_page_says_which_exit_code_an_error_ends_in():
    text = " ".join(page("errors.md").split())
    (said,) = re.findall(r"\(command-line.md#exit-codes\): (.+?)\. ", text)
    found = {}
    for code, names in re.findall(r"(\d+) for ((?:`\w+`(?: and )?)+)", said):
        found |= dict.fromkeys(re.findall(r"\w+", names.replace(" and ", " ")), int(code))
    assert len(found) == 4
    for name, code in found.items():
        assert exits.code_of(ERRORS[name].__new__(ERRORS[name])) == code


def test_blocks_are_told_all_exceptions_that_code_may_raise():
    own = {name for name, kind in ERRORS.items() if not issubclass(kind, admission.AdmissionError)}
    told = "\n".join(row[0] for row in of_errors("Errors in a block"))
    assert own == set(re.findall(r"`([A-Z]\w+)`", told))
