import pytest

from admission import ConfigurationError, Lane, Policy, Usage


def test_a_policy_that_cannot_work_says_why():
    with pytest.raises(ConfigurationError, match="max_staleness=1 must be at least twice"):
        Policy(max_staleness=1, refresh_interval=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_waiting": 10**5000},
        {"max_waiting": 1.0},
        {"max_waiting": True},
        {"headroom": -1},
        {"refresh_interval": float("nan")},
        {"visibility_lag": float("inf")},
        {"lease_ttl": "10"},
        {"timeout": -1},
        {"starts_per_second": 0},
        {"max_call_duration": 10},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_setting_out_of_its_range_is_refused_by_name(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Policy(**wrong)


def test_a_policy_describes_every_setting():
    described = Policy(headroom=2).describe()
    assert described["headroom"] == 2
    assert described["starts_per_second"] is None
    assert len(described) == 10


@pytest.mark.parametrize(
    "wrong", [{"limit": -1}, {"count": 1.5}, {"limit": True}, {"timestamp": "now"}], ids=lambda wrong: next(iter(wrong))
)
def test_a_reading_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Usage(**({"limit": 1, "count": 0} | wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": 3},
        {"priority": -1},
        {"weight": 0},
        {"max_in_flight": 0},
        {"promote_after": 0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_lane_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Lane(**({"name": "bulk"} | wrong))


def test_a_lane_keeps_what_it_was_given():
    lane = Lane("bulk", priority=1, weight=2.5, headroom=1, max_in_flight=3, promote_after=60)
    assert (lane.priority, lane.max_in_flight, lane.promote_after) == (1, 3, 60)
