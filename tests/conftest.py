import pytest
from hypothesis import HealthCheck, settings

from admission.core import plans

# How long an example takes says how busy the processor is.
settings.register_profile("admission", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("admission")


@pytest.fixture
def ledger_has_time(monkeypatch):
    """Who asks without waiting gets an answer, not an error, where this process gets no processor for a second."""
    monkeypatch.setattr(plans, "GRACE", 30.0)
