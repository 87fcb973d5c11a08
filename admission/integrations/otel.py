"""Metrics and traces for OpenTelemetry (extra `otel`): a hook on its API alone; the SDK is the application's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.hooks import Admitted, Refused
from admission.integrations.extras import needs
from admission.integrations.metrics import METRICS, measure

with needs("otel"):
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.trace import Status, StatusCode

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.metrics import _Gauge as Gauge
    from opentelemetry.trace import TracerProvider

    from admission.hooks import Event
    from admission.integrations.metrics import Metric

SCOPE = "admission"
"""What metrics and spans are named after, and what their names begin with."""
NANOSECONDS = 1_000_000_000


class OpenTelemetryHook:
    """A hook that keeps the metrics of `docs/reference/metrics.md` and makes a span of each caller's wait.

    The span `admission.wait` lasts from the ask until the caller was admitted or refused; it is a child of the span
    that was current there.

    Args:
        meter_provider: Where the metrics go; `None` is the global one.
        tracer_provider: Where the spans go; `None` is the global one.
    """

    def __init__(
        self, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
    ) -> None:
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self._instruments = {name: _make(meter, name, metric) for name, metric in METRICS.items()}
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)

    def __call__(self, event: Event, /) -> None:
        """Take one event."""
        if isinstance(event, (Admitted, Refused)):
            self._trace(event)
        for name, value, labels in measure(event):
            attributes = dict(zip(METRICS[name].labels, labels, strict=True))
            instrument = self._instruments[name]
            if isinstance(instrument, Counter):
                instrument.add(value, attributes)
            elif isinstance(instrument, Histogram):
                instrument.record(value, attributes)
            else:
                instrument.set(value, attributes)

    def _trace(self, event: Admitted | Refused) -> None:
        attributes = {f"{SCOPE}.{name}": getattr(event, name) for name in ("account", "lane", "kind")}
        if isinstance(event, Admitted):
            attributes[f"{SCOPE}.reservation"] = event.reservation
        else:
            attributes[f"{SCOPE}.reason"] = event.reason
        start, end = (int(time * NANOSECONDS) for time in (event.at - event.waited, event.at))
        span = self._tracer.start_span(f"{SCOPE}.wait", attributes=attributes, start_time=start)
        if isinstance(event, Refused):
            span.set_status(Status(StatusCode.ERROR, event.reason))
        span.end(end)


def _make(meter: Meter, name: str, metric: Metric) -> Counter | Histogram | Gauge:
    name, unit = f"{SCOPE}.{name}", "s" if metric.unit else ""
    if metric.kind == "counter":
        return meter.create_counter(name, unit, metric.text)
    if metric.kind == "gauge":
        return meter.create_gauge(name, unit, metric.text)
    return meter.create_histogram(name, unit, metric.text, explicit_bucket_boundaries_advisory=metric.buckets)
