import pytest

from admission.core import plans


@pytest.fixture
def ledger_has_time(monkeypatch):
    """Who asks without waiting gets an answer, not an error, where this process gets no processor for a second."""
    monkeypatch.setattr(plans, "GRACE", 30.0)
