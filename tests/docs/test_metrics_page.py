"""The pages on metrics and log records, and the dashboard, name what is; all PromQL parses."""

import json
import logging
import re
from pathlib import Path

import promql_parser
import pytest
from prometheus_client import CollectorRegistry

from admission.hooks import SAMPLE_EVERY
from admission.integrations.metrics import METRICS
from admission.integrations.prometheus import PrometheusHook
from admission.telling import EVENTS, REASONS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "guides" / "metrics.md").read_text("utf-8")
METRICS_PAGE, RECORDS_PAGE, HOOKS_PAGE = (
    (DOCS / "reference" / name).read_text("utf-8") for name in ("metrics.md", "log-records.md", "api/hooks.md")
)
DASHBOARD = json.loads((DOCS / "grafana" / "admission.json").read_text("utf-8"))
ALERTS = re.findall(r"^ +- alert: (\w+)\n +expr: (.+)$", PAGE, re.MULTILINE)


def full_name(name):
    metric = METRICS[name]
    return f"admission_{name}{'_seconds' if metric.unit else ''}{'_total' if metric.kind == 'counter' else ''}"


def series():
    """Every series' name that Prometheus scrapes, with its labels."""
    registry = CollectorRegistry()
    PrometheusHook(registry)
    found = {}
    for name, metric in METRICS.items():
        full = full_name(name)
        if metric.kind == "histogram":
            found |= {f"{full}_{part}": set(metric.labels) for part in ("count", "sum")}
            found[f"{full}_bucket"] = {*metric.labels, "le"}
        else:
            found[full] = set(metric.labels)
    families = {family.name.removesuffix("_total") for family in registry.collect()}
    assert families == {full_name(name).removesuffix("_total") for name in METRICS}
    return found


SERIES = series()


def rows(text):
    """The rows of tables, by their cells."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_the_page_has_every_metric_and_no_other():
    assert rows(METRICS_PAGE.split("\n## Labels\n")[0]) == [
        [f"`{full_name(name)}`", metric.kind, ", ".join(metric.labels[1:]), metric.text]
        for name, metric in METRICS.items()
    ]
    assert {metric.labels[0] for metric in METRICS.values()} == {"account"}


def test_the_page_has_every_label_and_its_values():
    told = {name.strip("`"): text for name, text in rows(METRICS_PAGE.split("\n## Labels\n")[1].split("\n## ")[0])}
    assert set(told) == {label for metric in METRICS.values() for label in metric.labels[1:]}
    assert set(re.findall(r"`(\w+)`", told["reason"])) == {*REASONS.values(), "interrupted", "failed"}


def test_the_page_has_the_buckets_of_every_histogram():
    assert rows(METRICS_PAGE.split("\n## Buckets\n")[1]) == [
        [f"`{full_name(name)}`", ", ".join(f"{bound:g}" for bound in metric.buckets)]
        for name, metric in METRICS.items()
        if metric.buckets
    ]


def said(text):
    """A log record's text with the names of its facts."""
    return re.sub(r"%\((\w+)\)s", r"`\1`", text)


def test_the_page_has_every_log_record_and_no_other_and_says_what_to_do():
    told = rows(RECORDS_PAGE.split("\n## ")[0])
    assert [row[:3] for row in told] == [
        [f"`{event}`", logging.getLevelName(told.level).lower(), said(told.text)]
        for event, told in EVENTS.items()
        if told.level is not None
    ]
    assert all(row[3] for row in told)


def test_the_page_says_what_hooks_are_given():
    assert rows(RECORDS_PAGE.split("\n## What hooks are given\n")[1]) == [
        [f"`{event}`", f"`{told.make.__name__}`"] for event, told in EVENTS.items() if told.make
    ]
    for told in EVENTS.values():
        assert told.make is None or f".. autoclass:: {told.make.__name__}()\n" in HOOKS_PAGE


def test_the_pages_say_how_often_the_ledger_is_asked():
    assert f"at most every {SAMPLE_EVERY:g} s" in PAGE
    assert f"as the last sample, {SAMPLE_EVERY:g} s at most" in METRICS_PAGE.replace("\n", " ")


def panels():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def variables():
    return {variable["name"] for variable in DASHBOARD["templating"]["list"]}


EXPRESSIONS = [*ALERTS, *panels()]


def test_there_are_alerts_and_panels():
    assert len(ALERTS) == PAGE.count("- alert:") >= 10
    assert len(list(panels())) >= 15
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def selectors(node):
    """Every selector in an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        inner = getattr(node, name, None)
        if inner is not None and not isinstance(inner, (str, int, float)):
            yield from selectors(inner)
    for inner in getattr(node, "args", None) or ():
        yield from selectors(inner)


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[f"{n}-{t}" for n, (t, _) in enumerate(EXPRESSIONS)])
def test_every_expression_parses_and_names_what_there_is(title, expression):
    assert set(re.findall(r"\$(\w+)", expression)) <= variables() | {"__rate_interval"}
    text = expression.replace("$__rate_interval", "1m").replace("$account", "acme")
    found = list(selectors(promql_parser.parse(text)))
    named = re.findall(r"\badmission_\w+", text)
    assert sorted(selector.name for selector in found) == sorted(named)
    assert named
    for selector in found:
        assert selector.name in SERIES
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= SERIES[selector.name]
    for words in re.findall(r"\bby \(([^)]*)\)", text):
        assert set(words.replace(" ", "").split(",")) <= set.union(*(SERIES[name] for name in named))
    for value in re.findall(r'event=~?"([^"]+)"', text):
        assert {event for event in value.split("|") if EVENTS[event].make is not None} == set()


def test_the_dashboard_shows_every_metric():
    shown = {name for _, expression in panels() for name in re.findall(r"\badmission_\w+", expression)}
    shown = {re.sub("_bucket$", "", name) for name in shown}
    assert shown == {full_name(name) for name in METRICS}


def test_the_dashboard_asks_for_accounts_by_a_metric_that_there_is():
    (account,) = (v for v in DASHBOARD["templating"]["list"] if v["name"] == "account")
    name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", account["query"]["query"]).groups()
    assert label in SERIES[name]
