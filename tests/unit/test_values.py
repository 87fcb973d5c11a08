import pytest

from admission import ConfigurationError, Policy


def test_a_policy_that_cannot_work_says_why():
    with pytest.raises(ConfigurationError, match="max_staleness=1 must be at least twice"):
        Policy(max_staleness=1, refresh_interval=1)
