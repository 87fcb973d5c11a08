"""What the tests of the pages have in common."""

from __future__ import annotations

import pytest

import admission
from admission import Policy


@pytest.fixture
def quick(monkeypatch):
    """Guards that name no policy have a quick one: a reader's account has a lag of seconds, the stand-in has none."""
    policy = Policy(visibility_lag=0.0, refresh_interval=0.05, timeout=20)
    real = admission.base.GuardBase.__init__
    monkeypatch.setattr(
        admission.base.GuardBase, "__init__", lambda self, *a, **k: real(self, *a, **{"policy": policy, **k})
    )
