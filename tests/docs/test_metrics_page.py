"""`docs/guides/metrics.md` and the dashboard name what is: metrics, labels, log records; all PromQL parses."""

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
from admission.telling import EVENTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "guides" / "metrics.md").read_text("utf-8")
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


def rows(heading):
    """The rows of the table under a heading, as they stand there."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_page_has_every_metric_and_no_other():
    assert rows("Metrics") == [
        f"| `{full_name(name)}` | `admission.{name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.text} |"
        for name, metric in METRICS.items()
    ]


def said(text):
    """A log record's text with the names of its facts."""
    return re.sub(r"%\((\w+)\)s", r"`\1`", text)


def test_the_page_has_every_log_record_and_no_other():
    assert rows("Log records") == [
        f"| `{event}` | {logging.getLevelName(told.level).lower()} | {said(told.text)} |"
        for event, told in EVENTS.items()
        if told.level is not None
    ]


def test_the_page_says_how_often_the_ledger_is_asked():
    assert f"at most every {SAMPLE_EVERY:g} s" in PAGE


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
