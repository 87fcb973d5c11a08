"""What Prometheus scrapes, and what OpenTelemetry is given, move with the load."""

import asyncio
import re
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from admission import CallRejected, ConfigurationError, Lane, LedgerUnavailable, Saturated, Status, UsageError
from admission.hooks import HookFailed, Sampled
from admission.integrations.metrics import METRICS, measure
from admission.integrations.otel import OpenTelemetryHook
from admission.integrations.prometheus import PrometheusHook
from tests.guards.colours import Tasks, both_colours
from tests.guards.stage import Stage
from tests.guards.test_outages import Wire, recover


class Sampling:
    """What both have in common: they know of samples that were taken in to their end."""

    def __init__(self, hook):
        self.hook = hook
        self.samples = 0
        self.hooks = [hook, self._count]

    def _count(self, event):
        self.samples += isinstance(event, Sampled)

    async def sampled(self, stage, condition):
        """Let time pass until the samples have it so, and the last of them was taken in to its end."""
        await stage.until(lambda: stage.clock.advance(0.25) or condition())
        before = self.samples
        await stage.until(lambda: stage.clock.advance(0.25) or self.samples > before)


class Prometheus(Sampling):
    """A hook and its registry."""

    def __init__(self):
        self.registry = CollectorRegistry()
        super().__init__(PrometheusHook(self.registry))

    def value(self, name, **labels):
        """Return what is scraped, `None` for no such series."""
        return self.registry.get_sample_value(f"admission_{name}", {"account": "acme", **labels})

    @property
    def text(self):
        return generate_latest(self.registry).decode()


class Otel(Sampling):
    """A hook, and what its exporters were given."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.reader])
        self.points = {}
        super().__init__(OpenTelemetryHook(self.meters, self.tracers))

    def point(self, name, **labels):
        """Return the newest data point of a metric, `None` where there is none."""
        data = self.reader.get_metrics_data()
        # Older SDKs export a gauge's value once.
        for metric in [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else ():
            for point in metric.data.data_points:
                self.points[metric.name, *sorted(point.attributes.items())] = point
        return self.points.get((f"admission.{name}", *sorted({"account": "acme", **labels}.items())))

    def value(self, name, **labels):
        point = self.point(name, **labels)
        return None if point is None else point.value


async def refused(stage, error=Saturated, **want):
    with pytest.raises(error):
        await stage.outcome(stage.start(stage.guard.acquire(**want)))


@both_colours
async def test_what_is_scraped_moves_with_the_load(colour):
    at = Prometheus()
    lanes = [Lane("callbacks"), Lane("bulk", priority=1)]
    async with Stage(colour, 3, count=1, lanes=lanes, hooks=at.hooks) as stage:
        await stage.read()
        held = [await stage.guard.acquire(timeout=0, lane="callbacks") for _ in range(2)]
        await refused(stage, timeout=0, lane="bulk")
        (job,) = await stage.in_line(stage.guard.acquire(lane="bulk", timeout=600))
        await at.sampled(stage, lambda: at.value("waiting", lane="bulk") == 1)
        assert at.value("limit") == 3
        assert at.value("counted") == at.value("untracked") == 1
        assert at.value("in_use") == 3
        assert at.value("free") == 0
        assert at.value("pending") == at.value("in_flight", lane="callbacks") == 2
        assert at.value("admitted_total", lane="callbacks") == 2
        assert at.value("refused_total", lane="bulk", reason="saturated") == 1
        assert at.value("paused", lane="bulk") == at.value("lapsed_reservations") == 0
        assert at.value("reading_age_seconds") < 15
        assert at.value("reading_seconds_count") >= 1
        await stage.guard.pause("why", lane="bulk")
        await at.sampled(stage, lambda: at.value("paused", lane="bulk") == 1)
        await stage.guard.resume(lane="bulk")
        await stage.pass_time(3)
        for reservation in held:
            reservation.cancel()
        reservation = await stage.outcome(job)
        waits = {"lane": "bulk", "outcome": "admitted"}
        assert at.value("waited_seconds_count", **waits) == at.value("admitted_total", lane="bulk") == 1
        assert at.value("waited_seconds_sum", **waits) == reservation.waited >= 3
        assert at.value("waited_seconds_bucket", le="2.5", **waits) == 0
        assert at.value("waited_seconds_bucket", le="+Inf", **waits) == 1
        assert at.value("waited_seconds_count", lane="bulk", outcome="refused") == 1
        reservation.cancel()
        await at.sampled(stage, lambda: (at.value("waiting", lane="bulk"), at.value("in_use")) == (0, 1))
    assert 'admission_admitted_total{account="acme",lane="callbacks"} 2.0' in at.text


@both_colours
async def test_faults_are_counted(colour):
    at = Prometheus()
    outcomes = [CallRejected(), None]

    def broken(event):
        assert not isinstance(event, Sampled)

    async with Stage(colour, 2, hooks=[broken, *at.hooks]) as stage:

        @stage.guard.place(timeout=60)
        async def dial():
            if (outcome := outcomes.pop(0)) is not None:
                raise outcome

        stage.provider.script.append(UsageError("busy", status=429))
        await stage.outcome(stage.start(dial()))
        assert at.value("reading_errors_total", kind="rate_limited") == 1
        await stage.until(lambda: at.value("refused_by_provider_total", lane="default") == 1)
        reservation = await stage.outcome(stage.start(stage.guard.acquire(timeout=60)))
        await stage.pass_time(11)
        reservation.placed("call-1")
        await stage.until(lambda: at.value("late_placements_total", lane="default") == 1)
        reservation.ended()
        stage.provider.limit = 5
        await stage.read()
        assert at.value("events_total", event="limit_changed") == 1
        wire = Wire(stage)
        wire.cut = True
        await refused(stage, LedgerUnavailable, timeout=1)
        await recover(stage, wire)
        assert at.value("ledger_errors_total", verb="ask") >= 1
        assert at.value("refused_total", lane="default", reason="ledger_unavailable") == 1
        assert at.value("hook_errors_total", hook=broken.__qualname__) >= 1


@both_colours
async def test_opentelemetry_is_given_the_same(colour):
    at = Otel()
    async with Stage(colour, 1, lanes=[Lane("bulk")], hooks=at.hooks) as stage:
        holder = await stage.guard.acquire(timeout=5)
        await refused(stage, timeout=0)
        (job,) = await stage.in_line(stage.guard.acquire(lane="bulk", timeout=600))
        await at.sampled(stage, lambda: at.value("waiting", lane="bulk") == 1)
        assert at.value("limit") == at.value("in_use") == 1
        assert at.value("admitted", lane="default") == 1
        assert at.value("refused", lane="default", reason="saturated") == 1
        holder.cancel()
        reservation = await stage.outcome(job)
        waited = at.point("waited", lane="bulk", outcome="admitted")
        assert (waited.count, waited.sum) == (1, reservation.waited)
        assert tuple(waited.explicit_bounds) == METRICS["waited"].buckets
        reservation.cancel()
        await at.sampled(stage, lambda: at.value("in_use") == 0)
    at.meters.shutdown()


@both_colours
async def test_every_wait_is_a_span_below_the_caller_s(colour):
    at = Otel()
    tracer = at.tracers.get_tracer("mine")

    async def caller():
        with tracer.start_as_current_span("lead"):
            return await stage.guard.acquire(timeout=600)

    async with Stage(colour, 1, hooks=at.hooks) as stage:
        holder = await stage.guard.acquire(timeout=5)
        await refused(stage, timeout=0)
        (job,) = await stage.in_line(caller())
        await stage.pass_time(3)
        holder.cancel()
        reservation = await stage.outcome(job)
        reservation.cancel()
    spans = {span.name: span for span in at.spans.get_finished_spans()}
    first, no, _ = (span for span in at.spans.get_finished_spans() if span.name == "admission.wait")
    wait, lead = spans["admission.wait"], spans["lead"]
    assert first.parent is None
    assert wait.parent.span_id == lead.context.span_id
    assert wait.end_time - wait.start_time == pytest.approx(reservation.waited * 1e9, abs=1000)
    assert dict(wait.attributes) == {
        "admission.account": "acme", "admission.lane": "default", "admission.kind": "hold",
        "admission.reservation": reservation.id,
    }  # fmt: skip
    assert wait.status.status_code is StatusCode.UNSET
    assert (no.status.status_code, no.attributes["admission.reason"]) == (StatusCode.ERROR, "saturated")


def test_one_hook_serves_many_guards_and_a_second_one_is_refused_with_the_mend():
    at = Prometheus()

    async def scenario():
        async with Stage(Tasks(), hooks=at.hooks) as stage, stage.another(Tasks(), hooks=at.hooks) as other:
            for guard in (stage.guard, other):
                (await guard.acquire(timeout=5)).cancel()

    asyncio.run(scenario())
    assert at.value("admitted_total", lane="default") == 2
    with pytest.raises(ConfigurationError, match="make one PrometheusHook and give it to all guards"):
        PrometheusHook(at.registry)
    PrometheusHook(at.registry, namespace="dialer")
    assert "dialer_in_use" in at.text


def test_a_registry_that_refuses_keeps_nothing_of_it():
    registry = CollectorRegistry()
    Gauge("admission_hook_errors", "of somebody else", registry=registry)
    before = generate_latest(registry)
    with pytest.raises(ConfigurationError):
        PrometheusHook(registry)
    assert generate_latest(registry) == before


STATUS = Status("acme", None, None, 0, 0, 0, 0, 0, 0, None, paused=False, pause_reason="")


def test_what_is_not_known_yet_is_not_measured():
    names = {measured.name for measured in measure(Sampled("acme", STATUS, None))}
    assert not {"limit", "counted", "reading_age", "lapsed_reservations"} & names
    assert {"in_use", "events"} <= names


def test_every_step_has_the_labels_of_its_metric():
    for event in (Sampled("acme", STATUS, 3), HookFailed("acme", "mine", 2)):
        for measured in measure(event):
            assert len(measured.labels) == len(METRICS[measured.name].labels)


@both_colours
async def test_every_counter_that_an_alert_looks_at_is_there_before_it_rises(colour):
    """From nothing to 1 is no increase to Prometheus."""
    page = (Path(__file__).parents[2] / "docs" / "guides" / "metrics.md").read_text("utf-8")
    watched = re.findall(r"increase\(admission_(\w+)(?:\{(\w+)=~?\"([^\"]+)\"\})?\[", page)
    assert len(watched) >= 6
    at = Prometheus()
    async with Stage(colour, hooks=at.hooks) as stage:
        await stage.guard.status()
        await at.sampled(stage, lambda: at.value("in_use") == 0)
        for name, label, values in watched:
            for value in values.split("|"):
                labels = {label: value} if label else {}
                lane = {"lane": "default"} if "lane" in METRICS[name.removesuffix("_total")].labels else {}
                assert at.value(name, **labels, **lane) == 0, (name, labels)
