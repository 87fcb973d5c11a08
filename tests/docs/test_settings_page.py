"""`docs/reference/settings.md` has every setting, with the default and the range that the code has."""

import re
from dataclasses import MISSING, fields
from inspect import signature
from pathlib import Path

import pytest

import admission
from admission import ConfigurationError, Guard, Lane, Policy, PureTalk, RedisLedger
from admission.ledger.lanes import MOST_LANES
from admission.ledger.wire import PolicyWire

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
FACTS = re.compile(r"Default (`None`|[\d.]+)(?: \w+)?\. From ([\d.]+) to (\d+)")
ACCOUNTS = {"refresh_interval", "max_staleness", "lease_ttl", "headroom", "max_waiting", "starts_per_second"}
"""Settings of the account alone; of `visibility_lag` and `max_call_duration` a part is."""
BOTH = {"visibility_lag", "max_call_duration"}
SETTINGS = [(kind, field) for kind in (Policy, Lane) for field in fields(kind) if field.name != "name"]


def section(heading):
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def part(kind, name):
    """The text under a setting's own heading."""
    heading = "headroom of a lane" if (kind, name) == (Lane, "headroom") else name
    text = section({Policy: "Policy", Lane: "Lanes"}[kind])
    return text.split(f"\n### {heading}\n\n")[1].split("\n### ")[0]


def made(kind, name, value):
    if kind is Lane:
        return Lane("bulk", **{name: value})
    # Others of the policy go along, so that only this one can be wrong.
    along = {"refresh_interval": {"max_staleness": 3600}, "max_staleness": {"refresh_interval": 0.01}}
    along |= {"max_call_duration": {"placement_timeout": 0.1, "visibility_lag": 0}}
    return Policy(**{name: value, **along.get(name, {})})


@pytest.mark.parametrize(("kind", "field"), SETTINGS, ids=lambda item: getattr(item, "name", item))
def test_the_default_and_the_range_are_those_of_the_code(kind, field):
    text = part(kind, field.name)
    default, low, high = FACTS.match(text.replace(",", "")).groups()
    assert (None if default == "`None`" else float(default)) == field.default
    low, high = float(low), float(high)
    values = (int(low), int(high)) if isinstance(field.default, int) or field.name == "max_in_flight" else (low, high)
    for value in values:
        made(kind, field.name, value)
    for value in (values[0] - 0.0001, values[1] + 1):
        with pytest.raises(ConfigurationError):
            made(kind, field.name, value)
    assert "*Choose*" in text
    assert "Too " in text or field.name == "weight"


@pytest.mark.parametrize("kind", [Policy, Lane])
def test_the_table_has_every_field_and_no_other(kind):
    table = section({Policy: "Policy", Lane: "Lanes"}[kind])
    rows = re.findall(r"^\| \[`(\w+)`\]\(#([\w-]+)\) \| (?:`([^`]+)`)? *\|", table, re.MULTILINE)
    assert [(name, default) for name, _, default in rows] == [
        (field.name, "" if field.default is MISSING else shown(field.default)) for field in fields(kind)
    ]


def shown(value):
    return f"{value:_}" if isinstance(value, int) else str(value)


def test_the_page_says_which_settings_are_the_account_s():
    assert len(PolicyWire._fields) == len(ACCOUNTS | BOTH)
    for field in fields(Policy):
        text = part(Policy, field.name).split("\n")[0]
        assert ("The account's: the" in text) == (field.name in ACCOUNTS)
        assert ("account's longest" in text) == (field.name in BOTH)


@pytest.mark.parametrize("name", sorted(ACCOUNTS))
def test_the_page_says_which_value_counts_where_they_differ(name):
    """Two policies that differ, on the wire, and what the ledger makes of them."""
    from admission.core.spans import wire_policy

    wire = {
        "refresh_interval": "refresh", "max_staleness": "staleness", "lease_ttl": "lease", "starts_per_second": "pace",
    }.get(name, name)  # fmt: skip
    low, high = (wire_policy(Policy(**{name: value})) for value in (3, 5))
    counts = getattr(PolicyWire.agreed([low.text(), high.text()]), wire)
    word = re.search(r"The account's: the (\w+) counts", part(Policy, name))[1]
    assert word in {"shortest", "longest", "smallest", "largest", "lowest"}
    assert counts == getattr(low if word in {"shortest", "smallest", "lowest"} else high, wire)


def test_every_environment_variable_is_in_the_page():
    code = "\n".join(path.read_text("utf-8") for path in Path(admission.__file__).parent.rglob("*.py"))
    named = set(re.findall(r"\b(?:PURETALK|ADMISSION)_[A-Z_]*[A-Z]\b|\bNO_COLOR\b", code))
    assert named == set(re.findall(r"`((?:PURETALK|ADMISSION)_[A-Z_]+|NO_COLOR)`", section("Environment")))


def test_arguments_and_their_defaults_are_those_of_the_code():
    assert re.findall(r"^\| `(\w+)` \|", section("RedisLedger"), re.MULTILINE) == list(
        signature(RedisLedger).parameters
    )
    guard = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`)? *\|", section("Guard"), re.MULTILINE)
    taken = [named for named in signature(Guard).parameters.values() if named.name != "self"]
    assert guard == [(named.name, "" if named.default is named.empty else str(named.default)) for named in taken]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Sources"), re.MULTILINE))
    parameters = signature(PureTalk).parameters
    assert list(rows) == list(parameters)
    assert (rows["client"], rows["timeout"]) == tuple(f"`{parameters[name].default}`" for name in ("client", "timeout"))


def test_the_number_of_lanes_is_the_code_s():
    assert f"up to {MOST_LANES} lanes" in PAGE
