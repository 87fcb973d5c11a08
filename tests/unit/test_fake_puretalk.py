import asyncio
import json
import re
import threading
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission.errors import CallRejected, ConfigurationError
from admission.testing import _calls
from admission.testing.fake import GARBAGE, FakePureTalk, garbage

KEY = {"X-API-KEY": "test-key"}
USAGE = "/api/users/concurrency-usage"


class Clock:
    """A clock that is told, and a sleep that moves it."""

    def __init__(self, now=1000.0):
        self.now = now
        self.slept = []

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += seconds

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    def make(limit=20, **settings):
        settings = {
            "clock": clock,
            "sleep": clock.sleep,
            "wall_clock": datetime(2025, 5, 2, 2, 36, 10, 686259, tzinfo=UTC),
            **settings,
        }
        return FakePureTalk(limit, **settings)

    return make


def client(fake, key="test-key"):
    headers = {} if key is None else {"X-API-KEY": key}
    transport = httpx.ASGITransport(app=fake)
    return httpx.AsyncClient(transport=transport, base_url="http://fake/api", headers=headers)


def usage(fake):
    """One reading, without HTTP."""
    answer = fake.handle("GET", USAGE, {"x-api-key": fake.api_key})
    assert answer.status == 200
    return json.loads(answer.body)["results"]


def counted(fake):
    return usage(fake)["concurrency_count"]


def dial(fake, **content):
    return fake.handle("POST", "/api/calls", {"x-api-key": fake.api_key}, json.dumps(content).encode())


# The documented endpoint


async def test_usage_is_answered_as_documented(make):
    fake = make(20)
    fake.start_call()
    async with client(fake) as http:
        answer = await http.get("/users/concurrency-usage")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "msg": "Success",
        "err": False,
        "results": {"concurrency_limit": 20, "concurrency_count": 1, "timestamp": "2025-05-02T02:36:10.686259"},
    }


def test_the_timestamp_always_has_microseconds_and_never_a_zone(make, clock):
    fake = make(wall_clock=datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert usage(fake)["timestamp"] == "2025-01-01T00:00:00.000000"
    clock.forward(1.5)
    assert usage(fake)["timestamp"] == "2025-01-01T00:00:01.500000"
    fake.timestamp_shift = -3600
    assert usage(fake)["timestamp"] == "2024-12-31T23:00:01.500000"


def test_a_date_without_a_zone_is_utc(make):
    fake = make(wall_clock=datetime.fromisoformat("2025-01-01T12:00:00"))
    assert usage(fake)["timestamp"] == "2025-01-01T12:00:00.000000"
    assert json.loads(dial(fake).body)["results"]["start_time"] == "2025-01-01T12:00:00+00:00"


def test_without_a_given_date_the_provider_lives_in_our_time():
    seen = datetime.fromisoformat(usage(FakePureTalk())["timestamp"]).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - seen) < timedelta(minutes=5)


@pytest.mark.parametrize("key", [None, "", "other", "test-key "])
@pytest.mark.parametrize(("method", "path"), [("GET", "/users/concurrency-usage"), ("POST", "/calls"), ("GET", "/x")])
async def test_a_wrong_key_is_told(make, key, method, path):
    fake = make()
    fake.fail_next(1)
    fake.refuse_next(1)
    async with client(fake, key) as http:
        answer = await http.request(method, path)
    assert answer.status_code == 401
    assert answer.json()["err"] is True
    assert isinstance(answer.json()["msg"], str)
    assert fake.started == fake.refused == 0
    # A stranger's request uses up nothing of what is scripted for ours.
    assert fake.handle("GET", USAGE, {"x-api-key": "test-key"}).status == 503
    assert dial(fake).status == 429


def test_the_key_may_be_rotated(make):
    fake = make()
    fake.api_key = "second"
    assert fake.handle("GET", USAGE, {"x-api-key": "test-key"}).status == 401
    assert fake.handle("GET", USAGE, {"x-api-key": "second"}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("POST", "/users/concurrency-usage"), ("DELETE", "/calls"), ("GET", "/calls/call-9/x")],
)
async def test_other_paths_are_not_found(make, method, path):
    async with client(make()) as http:
        answer = await http.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["err"] is True


def test_every_usage_request_is_noted(make, clock):
    fake = make()
    usage(fake)
    clock.forward(2)
    fake.fail_next(1)
    fake.handle("GET", USAGE, {"x-api-key": "test-key"})
    fake.handle("GET", USAGE, {})
    assert fake.readings == 3
    assert fake.reading_times == [1000.0, 1002.0, 1002.0]


# Calls


async def test_a_call_from_its_dial_to_its_end(make, clock):
    fake = make(20)
    async with client(fake) as http:
        dialed = await http.post("/calls", json={"metadata": {"lead": 7}})
        call_id = dialed.json()["call_id"]
        assert dialed.status_code == 201
        assert dialed.json()["results"]["call_id"] == call_id
        clock.forward(90)
        live = (await http.get(f"/calls/{call_id}")).json()
        assert live == {
            "msg": "Success",
            "err": False,
            "call_id": call_id,
            "results": {
                "call_id": call_id,
                "status": "in-progress",
                "start_time": "2025-05-02T02:36:10.686259+00:00",
                "end_time": None,
                "call_duration_seconds": None,
                "metadata": {"lead": 7},
            },
        }
        assert fake.live == fake.own == 1
        ended = await http.post(f"/calls/{call_id}/end")
        clock.forward(5)
        again = await http.post(f"/calls/{call_id}/end")
        shown = await http.get(f"/calls/{call_id}")
    assert ended.status_code == again.status_code == 200
    assert ended.json() == again.json() == shown.json()
    assert shown.json()["results"]["status"] == "completed"
    assert shown.json()["results"]["end_time"] == "2025-05-02T02:37:40.686259+00:00"
    assert shown.json()["results"]["call_duration_seconds"] == 90
    assert (fake.live, fake.peak, fake.started) == (0, 1, 1)


async def test_unknown_calls_are_not_found(make):
    fake = make()
    async with client(fake) as http:
        assert (await http.get("/calls/nobody")).status_code == 404
        assert (await http.post("/calls/nobody/end")).status_code == 404
    with pytest.raises(KeyError, match="nobody"):
        fake.end_call("nobody")


def test_a_call_with_a_duration_ends_by_the_clock(make, clock):
    fake = make()
    call_id = json.loads(dial(fake, duration=30).body)["call_id"]
    clock.forward(29.999)
    assert fake.live == 1
    clock.forward(0.001)
    assert fake.live == 0
    clock.forward(100)
    shown = json.loads(fake.handle("GET", f"/api/calls/{call_id}", {"x-api-key": "test-key"}).body)["results"]
    assert shown["call_duration_seconds"] == 30


def test_a_call_ended_early_does_not_end_a_second_time(make, clock):
    fake = make()
    fake.end_call(fake.start_call(30))
    fake.start_call()
    clock.forward(60)
    assert fake.live == 1


def test_call_ids_are_never_used_twice(make):
    fake = make(5, enforce=False)
    assert len({fake.start_call(0) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b'{"duration": "30"}',
        b'{"duration": -1}',
        b'{"duration": true}',
        b'{"duration": NaN}',
        b'{"ring": 1e400}',
        b'{"ring": 1' + b"0" * 400 + b"}",
    ],
)
def test_a_dial_that_cannot_be_read_starts_nothing(make, body):
    fake = make()
    answer = fake.handle("POST", "/api/calls", {"x-api-key": "test-key"}, body)
    assert answer.status == 400
    assert json.loads(answer.body)["err"] is True
    assert fake.started == fake.refused == fake.live == 0


@pytest.mark.parametrize("body", [b"", b"{}", b'{"duration": null, "ring": null}'])
def test_everything_in_a_dial_is_optional(make, clock, body):
    fake = make()
    assert fake.handle("POST", "/api/calls", {"x-api-key": "test-key"}, body).status == 201
    clock.forward(1e6)
    assert fake.live == 1


def test_old_ended_calls_are_forgotten(make, monkeypatch):
    monkeypatch.setattr(_calls, "REMEMBERED_CALLS", 2)
    fake = make()
    ids = [fake.start_call() for _ in range(3)]
    for call_id in ids:
        fake.end_call(call_id)
    with pytest.raises(KeyError):
        fake.end_call(ids[0])
    fake.end_call(ids[1])


# The limit and its truth


def test_above_the_limit_calls_are_refused_and_counted_as_overshoots(make, clock):
    fake = make(2)
    assert [dial(fake).status for _ in range(4)] == [201, 201, 429, 429]
    assert (fake.live, fake.peak, fake.started, fake.refused, fake.overshoots) == (2, 2, 2, 2, 2)
    assert fake.overshoot_log[0] == (1000.0, 2, 0, 2)
    assert fake.overshoot_log[0].limit == 2


def test_a_refusal_may_say_when_to_come_back(make):
    fake = make(0)
    assert "retry-after" not in dial(fake).headers
    fake.refusal_retry_after = 2.0
    answer = dial(fake)
    assert answer.headers["retry-after"] == "2"
    assert json.loads(answer.body) == {"err": True, "msg": "Concurrency limit of 0 calls reached"}
    with pytest.raises(CallRejected) as caught:
        fake.start_call()
    assert caught.value.retry_after == 2.0


def test_without_enforcement_the_calls_are_taken(make):
    fake = make(2, enforce=False)
    assert [dial(fake).status for _ in range(4)] == [201] * 4
    assert (fake.live, fake.peak, fake.started, fake.refused, fake.overshoots) == (4, 4, 4, 0, 2)
    assert counted(fake) == 4


def test_a_line_is_free_in_the_very_moment_a_call_ends(make, clock):
    fake = make(1)
    fake.start_call(10)
    clock.forward(10)
    fake.start_call(10)
    assert fake.overshoots == 0


def test_a_lowered_limit_throws_nobody_out(make):
    fake = make(3)
    ids = [fake.start_call() for _ in range(3)]
    fake.set_limit(1)
    assert (fake.limit, fake.live, fake.overshoots) == (1, 3, 0)
    assert usage(fake)["concurrency_limit"] == 1
    assert dial(fake).status == 429
    for call_id in ids:
        fake.end_call(call_id)
    assert dial(fake).status == 201
    fake.set_limit(2)
    assert dial(fake).status == 201


def test_busy_is_the_mean_share_of_the_limit(make, clock):
    fake = make(4)
    assert fake.busy() == 0
    fake.start_call(10)
    fake.start_call(20)
    clock.forward(40)
    assert fake.busy() == pytest.approx((10 * 2 / 4 + 10 * 1 / 4) / 40)


def test_busy_between_marks(make, clock):
    fake = make(2)
    clock.forward(100)
    begin = fake.mark()
    fake.start_call(30)
    assert fake.busy(begin) == 0.5
    clock.forward(60)
    end = fake.mark()
    assert fake.busy(begin) == fake.busy(begin, end) == 0.25
    clock.forward(1000)
    assert fake.busy(begin, end) == 0.25
    assert fake.busy(None, begin) == 0
    assert begin.at == 1100.0


def test_busy_follows_the_limit_and_never_passes_one(make, clock):
    fake = make(1, enforce=False)
    for _ in range(5):
        fake.start_call()
    clock.forward(10)
    assert fake.busy() == 1
    change = fake.mark()
    fake.set_limit(10)
    clock.forward(10)
    assert fake.busy(change) == pytest.approx(0.5)
    fake.set_limit(0)
    clock.forward(20)
    assert fake.busy(change) == pytest.approx(25 / 30)


@given(
    limit=st.integers(1, 4),
    lag=st.integers(0, 7),
    steps=st.lists(st.tuples(st.integers(0, 5), st.sampled_from("drei"), st.integers(0, 9)), max_size=60),
)
def test_the_books_agree_with_a_plain_list_of_spans(limit, lag, steps):
    clock = Clock(0)
    fake = FakePureTalk(limit, clock=clock, enforce=False, visibility_lag=lag, count_ringing=False)
    spans = []  # [start, answered, end, id]

    def live(at, begin=0):
        return sum(span[begin] <= at < span[2] for span in spans)

    for wait, what, number in steps:
        clock.forward(wait)
        if what == "d":
            spans.append([clock.now, clock.now, clock.now + number, fake.start_call(number)])
        elif what == "r":
            call_id = fake.start_call(number, ring=2)
            spans.append([clock.now, clock.now + 2, clock.now + number, call_id])
        elif what == "e" and spans:
            span = spans[number % len(spans)]
            span[2] = min(span[2], clock.now)
            fake.end_call(span[3])
        assert fake.live == live(clock.now)
        if number % 2:
            assert counted(fake) == live(clock.now - lag, begin=1)
    if clock.now:
        idle = sum(1 - min(live(second), limit) / limit for second in range(clock.now))
        assert fake.busy() == pytest.approx(1 - idle / clock.now)


# What a reading shows


def test_the_count_lags_both_ways(make, clock):
    fake = make(visibility_lag=2.0)
    fake.start_call(10)
    clock.forward(1.999)
    assert counted(fake) == 0
    clock.forward(0.001)
    assert counted(fake) == 1
    clock.forward(8)
    assert (fake.live, counted(fake)) == (0, 1)
    clock.forward(1.999)
    assert counted(fake) == 1
    clock.forward(0.001)
    assert counted(fake) == 0


@pytest.mark.parametrize("lag", [0.1, 0.3, 0.7, 1.1, 2.3])
def test_a_call_shows_after_the_whole_lag_whatever_the_rounding(lag):
    clock = Clock(0.1)
    fake = FakePureTalk(clock=clock, visibility_lag=lag)
    for step in range(1, 200):
        clock.now = step * 7.1
        fake.start_call(lag)
        clock.now += lag
        assert counted(fake) == 1


def test_without_lag_a_reading_shows_the_truth(make):
    fake = make()
    assert counted(fake) == 0
    call_id = fake.start_call()
    assert counted(fake) == 1
    fake.end_call(call_id)
    assert counted(fake) == 0


def test_jitter_stays_within_the_lag_and_never_looks_back(make, clock):
    fake = make(100_000, visibility_lag=5.0, jitter=True)
    counts = []
    for number in range(400):
        clock.forward(0.1)
        fake.start_call()
        counts.append(counted(fake))
        assert number + 1 - 50 <= counts[-1] <= number + 1
    assert counts == sorted(counts)
    lags = {number + 1 - count for number, count in enumerate(counts)}
    assert len(lags) > 5


def test_jitter_is_the_same_for_the_same_seed():
    def run(seed):
        clock = Clock()
        fake = FakePureTalk(1000, clock=clock, visibility_lag=5.0, jitter=True, seed=seed)
        counts = []
        for _ in range(50):
            clock.forward(0.5)
            fake.start_call()
            counts.append(counted(fake))
        return counts

    assert run(1) == run(1) != run(2)


def test_a_longer_lag_takes_hold_without_looking_back(make, clock):
    fake = make()
    fake.start_call()
    assert counted(fake) == 1
    fake.visibility_lag = 10
    clock.forward(5)
    fake.start_call()
    assert counted(fake) == 1
    clock.forward(9.9)
    assert counted(fake) == 1
    clock.forward(0.1)
    assert counted(fake) == 2


def test_the_history_stays_small(make, clock):
    fake = make(visibility_lag=5.0)
    for _ in range(1000):
        fake.start_call(1)
        clock.forward(1)
    assert len(fake._book._history) < 20
    assert len(fake._book._timers) < 20


def test_ringing_calls_may_be_left_out_of_the_count(make, clock):
    fake = make(2, count_ringing=False, visibility_lag=1.0)
    dial(fake, ring=20, duration=60)
    unanswered = fake.start_call(ring=20)
    clock.forward(15)
    assert (fake.live, counted(fake)) == (2, 0)
    assert dial(fake).status == 429
    fake.end_call(unanswered)
    clock.forward(5.5)
    assert counted(fake) == 0
    clock.forward(0.5)
    assert (fake.live, counted(fake)) == (1, 1)
    clock.forward(60)
    assert counted(fake) == 0
    fake.count_ringing = True
    fake.start_call(ring=20)
    clock.forward(1)
    assert counted(fake) == 1


def test_a_call_shorter_than_its_ring_is_never_counted(make, clock):
    fake = make(count_ringing=False)
    fake.start_call(10, ring=20)
    for _ in range(30):
        assert counted(fake) == 0
        clock.forward(1)
    assert fake.live == 0


# Foreign traffic


def test_foreign_calls_are_there_from_the_beginning(make):
    fake = make(20, foreign=6, visibility_lag=5.0)
    assert (fake.live, fake.own, fake.foreign, fake.peak, counted(fake)) == (6, 0, 6, 6, 6)
    assert [dial(fake).status for _ in range(15)] == [201] * 14 + [429]
    assert fake.overshoots == 1
    assert fake.overshoot_log[0].foreign == 6


def test_foreign_calls_may_change_and_lag_like_all_others(make, clock):
    fake = make(20, foreign=6, visibility_lag=2.0)
    fake.set_foreign(9)
    assert (fake.foreign, counted(fake)) == (9, 6)
    clock.forward(2)
    assert counted(fake) == 9
    fake.set_foreign(0)
    assert (fake.foreign, counted(fake)) == (0, 9)
    clock.forward(2)
    assert counted(fake) == 0


def test_foreign_calls_never_start_above_the_limit(make, clock):
    assert make(5, foreign=9).foreign == 5
    fake = make(5, enforce=False, foreign_rate=600, foreign_duration=30)
    for _ in range(3):
        fake.start_call()
    fake.set_foreign(9)
    assert (fake.foreign, fake.live) == (2, 5)
    for _ in range(100):
        clock.forward(1)
        assert fake.live <= 5
    fake.set_limit(1)
    fake.set_foreign(9)
    assert fake.live <= 5
    assert fake.overshoots == 0


def test_passing_foreign_calls_come_at_their_rate_and_go(make, clock):
    fake = make(1000, foreign_rate=60, foreign_duration=10)
    clock.forward(100)
    seen = 0
    for _ in range(500):
        clock.forward(1)
        seen += fake.foreign
    assert 8 < seen / 500 < 12  # Little's law: one a second, ten seconds each
    assert fake.started == fake.overshoots == 0
    assert fake.busy() > 0
    fake.set_foreign_rate(0)
    clock.forward(10)
    assert fake.foreign == 0
    fake.set_foreign_rate(600, 1)
    clock.forward(100)
    assert fake.foreign > 0


def test_foreign_traffic_is_the_same_however_often_one_looks():
    def run(step, seed=3):
        clock = Clock(0)
        fake = FakePureTalk(
            50, clock=clock, foreign_rate=30, foreign_duration=20, seed=seed, jitter=True, visibility_lag=1
        )
        trace = []
        for second in range(0, 600, step):
            clock.now = second
            counted(fake)
            if second % 60 == 0:
                trace.append(fake.foreign)
        return trace

    assert run(1) == run(60) != run(60, seed=4)


# Faults of readings


async def test_latency_passes_and_the_provider_looks_at_once_or_late(make, clock):
    fake = make()
    fake.latency = 4.0
    async with client(fake) as http:
        for share, expected in [(0.0, "02:36:10"), (1.0, "02:36:18"), (0.25, "02:36:19")]:
            fake.look_at = share
            answer = await http.get("/users/concurrency-usage")
            assert expected in answer.json()["results"]["timestamp"]
    assert clock.slept == [4.0, 4.0, 1.0, 3.0]
    assert fake.reading_times == [1000.0, 1004.0, 1008.0]


async def test_latency_may_be_asked_for_each_time(make, clock):
    fake = make()
    spans = iter([1.0, 2.0])
    fake.latency = lambda: next(spans)
    async with client(fake) as http:
        await http.get("/users/concurrency-usage")
        await http.get("/users/concurrency-usage")
        await http.post("/calls")
    assert clock.slept == [1.0, 2.0]


async def test_open_readings_are_counted(clock):
    gate, all_wait = asyncio.Event(), asyncio.Event()

    async def sleep(seconds):
        if fake.readings == 4:
            all_wait.set()
        await gate.wait()

    fake = FakePureTalk(clock=clock, sleep=sleep)
    async with client(fake) as http:
        await http.get("/users/concurrency-usage")
        assert fake.peak_readings == 1
        fake.latency = 1.0
        asked = [asyncio.create_task(http.get("/users/concurrency-usage")) for _ in range(3)]
        await all_wait.wait()
        asked[0].cancel()
        gate.set()
        await asyncio.gather(*asked, return_exceptions=True)
    assert fake.peak_readings == 3
    assert fake._open_readings == 0


def test_a_cache_repeats_its_answer(make, clock):
    fake = make()
    fake.cached_for(5)
    first = usage(fake)
    fake.start_call()
    clock.forward(4.9)
    assert usage(fake) == first
    clock.forward(0.1)
    assert usage(fake) != first
    assert fake.readings == 3
    fake.cached_for(0)
    fake.start_call()
    assert counted(fake) == 2


def test_two_caches_in_turn_go_back_and_forth(make, clock):
    fake = make()
    fake.cached_for(10, caches=2)
    older = usage(fake)
    fake.start_call()
    clock.forward(1)
    newer = usage(fake)
    assert newer["timestamp"] > older["timestamp"]
    assert [usage(fake) for _ in range(4)] == [older, newer, older, newer]
    clock.forward(9)
    assert usage(fake) != older
    assert usage(fake) == newer


def test_an_eternal_cache_never_moves(make, clock):
    fake = make()
    fake.cached_for(float("inf"))
    first = usage(fake)
    clock.forward(1e6)
    assert usage(fake) == first


async def test_readings_fail_as_often_as_asked(make):
    fake = make()
    fake.fail_next(2)
    fake.fail_next(1, status=429, headers={"Retry-After": "7"})
    async with client(fake) as http:
        answers = [await http.get("/users/concurrency-usage") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 429, 200]
    assert answers[0].json() == {"err": True, "msg": "Service Unavailable"}
    assert answers[2].headers["retry-after"] == "7"


def test_nothing_is_asked_of_no_readings(make):
    fake = make()
    fake.fail_next(0)
    assert counted(fake) == 0


def test_readings_fail_until_healed(make):
    fake = make()
    fake.fail_always(599)
    fake.fail_next(1, status=500)
    fake.refuse_next(5)

    def status():
        return fake.handle("GET", USAGE, {"x-api-key": "test-key"}).status

    assert [status() for _ in range(4)] == [500, 599, 599, 599]
    fake.heal()
    assert status() == 200
    assert dial(fake).status == 201


async def test_a_redirect(make):
    fake = make()
    fake.fail_next(1, status=302, headers={"Location": "http://fake/api/elsewhere"})
    async with client(fake) as http:
        answer = await http.get("/users/concurrency-usage")
        assert (answer.status_code, answer.headers["location"]) == (302, "http://fake/api/elsewhere")
        fake.fail_next(1, status=302, headers={"Location": "http://fake/api/elsewhere"})
        followed = await http.get("/users/concurrency-usage", follow_redirects=True)
    assert followed.status_code == 404


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_sent_as_it_is(make, kind):
    fake = make()
    fake.fail_next(1, status=200, body=garbage(kind))
    async with client(fake) as http:
        answer = await http.get("/users/concurrency-usage")
    assert answer.status_code == 200
    assert answer.content == garbage(kind)
    assert answer.headers["content-type"] == ("text/html" if kind == "html" else "application/json")
    assert answer.headers["content-length"] == str(len(answer.content))


def test_garbage_is_what_its_name_says():
    for kind in ["truncated", "html", "empty", "deep", "not utf-8"]:
        with pytest.raises((ValueError, RecursionError)):
            json.loads(garbage(kind))
    results = json.loads(garbage("strings"))["results"]
    assert results["concurrency_limit"] == "20"
    assert "concurrency_limit" not in json.loads(garbage("no limit"))["results"]
    assert "results" not in json.loads(garbage("flat"))
    assert len(garbage("huge")) > 8_000_000
    with pytest.raises(KeyError):
        garbage("tidy")


def test_scripted_bodies_may_be_text_or_a_mapping(make):
    fake = make()
    fake.fail_next(1, status=502, body="<html>", headers={"Content-Type": "text/plain"})
    fake.fail_next(1, status=200, body={"err": True, "msg": "no"})
    first, second = (fake.handle("GET", USAGE, {"x-api-key": "test-key"}) for _ in range(2))
    assert (first.body, first.headers) == (b"<html>", {"content-type": "text/plain"})
    assert json.loads(second.body) == {"err": True, "msg": "no"}


def test_good_answers_may_be_altered(make):
    fake = make()
    fake.cached_for(100)

    def outage(content):
        content["results"]["concurrency_count"] = 0
        return content

    fake.start_call()
    fake.alter = outage
    assert counted(fake) == 0
    fake.alter = None
    assert counted(fake) == 1
    fake.alter = lambda content: [content]
    assert json.loads(fake.handle("GET", USAGE, {"x-api-key": "test-key"}).body)[0]["err"] is False


async def test_a_body_may_drip(make, clock):
    fake = make()
    fake.drip = 0.5
    async with client(fake) as http:
        answer = await http.get("/users/concurrency-usage")
        assert answer.json()["results"]["concurrency_limit"] == 20
        assert clock.slept == [0.5] * len(answer.content)
        await http.post("/calls")
    assert len(clock.slept) == len(answer.content)


# Faults of dials


async def test_dials_are_refused_as_often_as_asked(make):
    fake = make()
    fake.refuse_next(2, retry_after=1.5)
    async with client(fake) as http:
        answers = [await http.post("/calls") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 201]
    assert answers[0].headers["retry-after"] == "1.5"
    assert answers[0].json()["err"] is True
    assert (fake.refused, fake.overshoots, fake.started) == (2, 0, 1)


def test_a_scripted_refusal_hides_no_overshoot(make):
    fake = make(0)
    fake.refuse_next(1)
    fake.fail_next_dials(1)
    fake.fail_next_dials(1, accepted=True)
    assert [dial(fake).status for _ in range(3)] == [429, 502, 429]
    assert (fake.refused, fake.overshoots) == (2, 3)


def test_an_answer_may_be_lost_with_and_without_its_call(make):
    fake = make()
    fake.fail_next_dials(1, status=500)
    fake.fail_next_dials(1, body="<html>", accepted=True)
    assert [dial(fake).status for _ in range(3)] == [500, 502, 201]
    assert (fake.live, fake.started, fake.refused) == (2, 2, 0)


async def test_a_dial_takes_its_time_before_and_after_its_acceptance(make, clock):
    fake = make()
    fake.dial_latency = 2.0
    fake.dial_reply_latency = lambda: 3.0
    async with client(fake) as http:
        answer = await http.post("/calls")
    assert clock.slept == [2.0, 3.0]
    assert answer.json()["results"]["start_time"] == "2025-05-02T02:36:12.686259+00:00"


@pytest.mark.parametrize(("before", "placed"), [(True, 0), (False, 1)])
async def test_a_dial_given_up_is_placed_if_it_was_accepted(clock, before, placed):
    waiting = asyncio.Event()

    async def sleep(seconds):
        waiting.set()
        await asyncio.Event().wait()

    fake = FakePureTalk(clock=clock, sleep=sleep)
    fake.dial_latency, fake.dial_reply_latency = (1, 0) if before else (0, 1)
    async with client(fake) as http:
        asked = asyncio.create_task(http.post("/calls"))
        await waiting.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert fake.started == placed


# As an object


@pytest.mark.parametrize(
    "settings",
    [
        {"limit": -1},
        {"limit": True},
        {"limit": "20"},
        {"visibility_lag": float("nan")},
        {"foreign": -1},
        {"foreign_rate": -1},
        {"foreign_rate": float("inf")},
        {"foreign_rate": 1, "foreign_duration": -1},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(ConfigurationError, match=re.escape("give a")):
        FakePureTalk(**settings)


def test_changes_that_cannot_be_meant_are_refused(make):
    fake = make()
    for change in [
        lambda: fake.set_limit(-1),
        lambda: fake.set_foreign(-1),
        lambda: fake.cached_for(-1),
        lambda: fake.cached_for(1, caches=0),
        lambda: fake.start_call(-1),
        lambda: fake.start_call(1, ring=-1),
    ]:
        with pytest.raises(ConfigurationError, match="give"):
            change()


def test_it_shows_its_numbers_and_not_its_key(make):
    fake = make(1, api_key="secret")
    dial(fake)
    dial(fake)
    usage(fake)
    assert repr(fake) == "FakePureTalk(limit=1, live=1, peak=1, overshoots=1, started=1, refused=1, readings=1)"


async def test_it_lives_through_a_lifespan_and_speaks_nothing_but_http(make):
    told = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said = []

    async def receive():
        return next(told)

    async def send(message):
        said.append(message["type"])

    await make()({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ConfigurationError, match="websocket"):
        await make()({"type": "websocket"}, receive, send)


async def test_a_client_that_leaves_within_its_request_starts_nothing(make):
    fake = make()
    told = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    said = []

    async def receive():
        return next(told)

    async def send(message):
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/calls", "headers": [(b"x-api-key", b"test-key")]}
    await fake(scope, receive, send)
    assert said == []
    assert fake.started == 0


async def test_a_body_may_come_in_pieces(make):
    async def pieces():
        yield b'{"duration": '
        yield b"30}"

    async with client(make()) as http:
        assert (await http.post("/calls", content=pieces())).status_code == 201


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_handle_serves_plain_clients_too(make, method):
    fake = make()

    def serve(request):
        answer = fake.handle(request.method, request.url.path, request.headers, request.read())
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    with httpx.Client(transport=httpx.MockTransport(serve), base_url="http://fake/api", headers=KEY) as http:
        path = "/users/concurrency-usage" if method == "GET" else "/calls"
        assert http.request(method, path).json()["err"] is False


def test_one_loop_after_the_other(make):
    fake = make()
    fake.latency = 0.5

    async def read():
        async with client(fake) as http:
            return (await http.get("/users/concurrency-usage")).status_code

    assert [asyncio.run(read()), asyncio.run(read())] == [200, 200]


def test_many_threads_share_one_truth():
    fake = FakePureTalk(10)
    workers = 8
    begin = threading.Barrier(workers)
    taken = []

    def work():
        begin.wait()
        for _ in range(200):
            try:
                call_id = fake.start_call()
            except CallRejected:
                continue
            taken.append(call_id)
            usage(fake)
            fake.end_call(call_id)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == fake.started
    assert fake.started + fake.refused == workers * 200
    assert fake.overshoots == fake.refused
    assert fake.peak <= 10
    assert fake.live == 0
    assert fake.readings == fake.started
