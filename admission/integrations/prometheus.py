"""Metrics for Prometheus (extra `prometheus`): a hook that keeps them in a registry of `prometheus_client`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.errors import ConfigurationError
from admission.integrations.extras import needs
from admission.integrations.metrics import METRICS, measure

with needs("prometheus"):
    from prometheus_client import REGISTRY, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from admission.hooks import Event
    from admission.integrations.metrics import Metric

    Instrument = Counter | Gauge | Histogram


class PrometheusHook:
    """A hook that keeps the metrics of `docs/reference/metrics.md`; one serves any number of guards.

    Args:
        registry: Where the metrics are kept; `None` is `prometheus_client.REGISTRY`.
        namespace: What all names begin with.

    Raises:
        ConfigurationError: The registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry | None = None, namespace: str = "admission") -> None:
        self._registry = REGISTRY if registry is None else registry
        self._namespace = namespace
        self._instruments: dict[str, Instrument] = {}
        try:
            for name, metric in METRICS.items():
                self._instruments[name] = self._make(name, metric)
        except ValueError as error:
            for instrument in self._instruments.values():
                self._registry.unregister(instrument)
            raise ConfigurationError(
                f"the registry does not take the metrics of {namespace!r} ({error}): make one PrometheusHook and give "
                "it to all guards"
            ) from error

    def __call__(self, event: Event, /) -> None:
        """Take one event."""
        for name, value, labels in measure(event):
            instrument = self._instruments[name].labels(*labels)
            if isinstance(instrument, Counter):
                instrument.inc(value)
            elif isinstance(instrument, Gauge):
                instrument.set(value)
            else:
                instrument.observe(value)

    def _make(self, name: str, metric: Metric) -> Instrument:
        names = {"namespace": self._namespace, "unit": metric.unit}
        if metric.kind == "counter":
            return Counter(name, metric.text, metric.labels, registry=self._registry, **names)
        if metric.kind == "gauge":
            # All processes are told the same of an account, so the newest word counts.
            return Gauge(
                name, metric.text, metric.labels, registry=self._registry, multiprocess_mode="mostrecent", **names
            )
        return Histogram(name, metric.text, metric.labels, registry=self._registry, buckets=metric.buckets, **names)
