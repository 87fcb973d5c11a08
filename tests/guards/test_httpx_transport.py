"""What the answer to a request that places a call says of that call, and what the client gets of it."""

import httpx
import pytest

from admission import AsyncGuard, ConfigurationError, Guard, Lane, Saturated, current_reservation
from admission.integrations.httpx import AdmissionTransport, AsyncAdmissionTransport
from admission.testing import deactivate
from tests.guards.colours import both_colours
from tests.guards.stage import POLICY, Stage

SETTLE = POLICY["placement_timeout"] + POLICY["visibility_lag"]


class Web:
    """A provider in a client of the colour: each request comes to the next of `answers`, the last again and again."""

    def __init__(self, stage, *answers, places="POST /calls", **options):
        self.stage = stage
        self.answers = list(answers)
        self.requests = []
        self.bodies = []
        self.reservations = []
        tasks = stage.colour.tasks
        self.sender = httpx.MockTransport(self.handle)
        guard = stage.guard if tasks else stage.guard.guard
        kind = AsyncAdmissionTransport if tasks else AdmissionTransport
        client = httpx.AsyncClient if tasks else httpx.Client
        self.transport = kind(guard, self.sender, places=places, **options)
        self.client = client(transport=self.transport, base_url="https://provider.test/api", follow_redirects=True)

    def handle(self, request):
        self.requests.append(f"{request.method} {request.url.path}")
        self.bodies.append(request.content)
        try:
            self.reservations.append(current_reservation().id)
        except LookupError:
            self.reservations.append(None)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def post(self, path="/calls", **options):
        answer = self.client.post(path, **options)
        return await answer if self.stage.colour.tasks else answer

    async def get(self, path):
        answer = self.client.get(path)
        return await answer if self.stage.colour.tasks else answer


def streamed(status=201, body=b'{"call_id": "call-7"}', **headers):
    """Return an answer whose body is still to come, in either colour."""

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        closed = False

        def __iter__(self):
            yield body[:5]
            yield body[5:]

        async def __aiter__(self):
            yield body[:5]
            yield body[5:]

        def close(self):
            self.closed = True

        async def aclose(self):
            self.closed = True

    return httpx.Response(status, stream=Body(), headers={"content-length": str(len(body)), **headers})


# Which requests are guarded.


@pytest.mark.parametrize(
    ("places", "method", "path", "guarded"),
    [
        ("POST /calls", "POST", "/api/calls", True),
        ("post /calls", "POST", "/calls", True),
        ("POST /calls/", "POST", "/calls", True),
        ("POST /calls", "POST", "/v2/calls/", True),
        ("POST /calls", "GET", "/calls", False),
        ("POST /calls", "POST", "/recalls", False),
        ("POST /calls", "POST", "/calls/7/end", False),
        ("POST /calls", "POST", "/calls2", False),
        ("POST /agents/*/calls", "POST", "/v1/agents/a-7/calls", True),
        ("POST /agents/*/calls", "POST", "/v1/agents/a/b/calls", False),
        ("POST /v1.0/call", "POST", "/v1x0/call", False),
        (lambda request: request.url.host == "provider.test", "DELETE", "/x", True),
        (lambda request: request.url.host == "crm.test", "POST", "/calls", False),
    ],
)
def test_a_method_and_the_end_of_a_path_or_a_function(places, method, path, guarded):
    transport = AdmissionTransport(a_guard(), places=places)
    assert transport._places(httpx.Request(method, f"https://provider.test{path}?calls=1")) is guarded


def a_guard(kind=Guard):
    class Source:
        def fetch(self): ...

        async def afetch(self): ...

    return kind(Source(), account="acme", lanes=[Lane("capped", max_in_flight=2)])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"places": "/calls"}, "give a method and a path"),
        ({"places": "POST calls"}, "give a method and a path"),
        ({"places": None}, "give a method and a path"),
        ({"not_placed": 400}, "not_placed is no collection"),
        ({"lane": "no such lane!"}, "lane"),
        ({"lane": "capped"}, "track=True"),
        ({"timeout": -1}, "timeout"),
        ({"call_id": "id"}, "call_id"),
    ],
)
def test_what_cannot_work_is_said_when_the_transport_is_made(options, says):
    with pytest.raises(ConfigurationError, match=says):
        AdmissionTransport(a_guard(), **{"places": "POST /calls", **options})


def test_each_colour_takes_its_own_guard():
    with pytest.raises(ConfigurationError, match="AdmissionTransport takes a guard of class Guard"):
        AdmissionTransport(a_guard(AsyncGuard), places="POST /calls")
    with pytest.raises(ConfigurationError, match="takes a guard of class AsyncGuard"):
        AsyncAdmissionTransport(a_guard(), places="POST /calls")


@both_colours
async def test_other_requests_know_nothing_of_the_guard(colour):
    async with Stage(colour, 1, count=1) as stage:
        web = Web(stage, httpx.Response(429, headers={"Retry-After": "60"}))
        assert (await web.get("/calls")).status_code == 429
        assert (await web.post("/calls/7/end")).status_code == 429
        assert stage.provider.readings == 0
        assert web.reservations == [None, None]
        assert (await stage.status()).pending == 0


@both_colours
async def test_a_full_account_is_said_with_the_guards_own_error(colour):
    async with Stage(colour, 1, count=1) as stage:
        web = Web(stage, httpx.Response(201), timeout=0)
        with pytest.raises(Saturated):
            await web.post()
        assert web.requests == []


@both_colours
async def test_lane_and_timeout_are_the_transports(colour):
    async with Stage(colour, 1, lanes=[Lane("bulk", headroom=1)]) as stage:
        web = Web(stage, httpx.Response(201), lane="bulk", timeout=0)
        with pytest.raises(Saturated):
            await web.post()


# What an answer means.


@both_colours
@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_an_accepted_call_is_booked_until_the_count_has_it(colour, status):
    async with Stage(colour) as stage:
        web = Web(stage, httpx.Response(status, json={"call_id": "7"}))
        response = await web.post(json={"to": "+1"})
        assert response.status_code == status
        assert response.json() == {"call_id": "7"}
        assert (await stage.status()).pending == 1
        await stage.pass_time(POLICY["visibility_lag"] + 0.1)
        await stage.read()
        assert (await stage.status()).pending == 0


UNKNOWN = {
    "no such thing": 404,
    "not understood": 400,
    "an error of the provider": 503,
    "not modified": 304,
    "no answer": httpx.ReadTimeout("no answer"),
    "not all was sent": httpx.WriteError("broken pipe"),
    "broken off": httpx.RemoteProtocolError("server disconnected"),
    "a bug": ValueError("bug"),
}


@both_colours
@pytest.mark.parametrize("name", UNKNOWN)
async def test_every_other_outcome_is_unknown_and_books_on(colour, name):
    outcome = UNKNOWN[name]
    async with Stage(colour) as stage:
        if isinstance(outcome, Exception):
            web = Web(stage, outcome)
            with pytest.raises(type(outcome)) as caught:
                await web.post()
            assert caught.value is outcome
        else:
            web = Web(stage, httpx.Response(outcome, headers={"Retry-After": "5"}))
            assert (await web.post()).status_code == outcome
        assert len(web.requests) == 1
        await stage.pass_time(SETTLE - 1)
        await stage.read()
        assert (await stage.status()).pending == 1
        await stage.pass_time(2)
        await stage.read()
        assert (await stage.status()).pending == 0


UNSENT = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("no route"),
    httpx.PoolTimeout("no connection is free"),
    httpx.ProxyError("the proxy says no"),
    httpx.UnsupportedProtocol("gopher"),
]


@both_colours
@pytest.mark.parametrize("error", UNSENT, ids=lambda error: type(error).__name__)
async def test_what_was_never_sent_frees_its_slot_at_once(colour, error):
    async with Stage(colour) as stage:
        web = Web(stage, error, timeout=0)
        for _ in range(2):
            with pytest.raises(type(error)) as caught:
                await web.post()
            assert caught.value is error
            assert error.request.url.path == "/api/calls"
        assert (await stage.status()).pending == 0


@both_colours
async def test_a_status_that_the_caller_vouches_for_frees_its_slot_at_once(colour):
    async with Stage(colour) as stage:
        web = Web(stage, httpx.Response(422), httpx.Response(409), not_placed={422}, timeout=0)
        assert (await web.post()).status_code == 422
        assert (await stage.status()).pending == 0
        assert (await web.post()).status_code == 409
        assert (await stage.status()).pending == 1


@both_colours
async def test_each_hop_of_a_redirect_is_a_request_of_its_own(colour):
    async with Stage(colour, 5) as stage:
        moved = httpx.Response(307, headers={"Location": "/v2/calls"})
        web = Web(stage, moved, httpx.Response(201), not_placed={307})
        assert (await web.post(json={"to": "+1"})).status_code == 201
        assert web.requests == ["POST /api/calls", "POST /v2/calls"]
        assert web.reservations[0] != web.reservations[1]
        assert (await stage.status()).pending == 1


# Refusals.


@both_colours
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "20"}, 20),
        ({"Retry-After": "Fri, 02 May 2025 02:36:30 GMT", "Date": "Fri, 02 May 2025 02:36:10 GMT"}, 20),
        ({}, POLICY["refresh_interval"]),
    ],
)
async def test_a_429_cools_the_fleet_down_and_is_what_the_client_gets(colour, headers, wait):
    async with Stage(colour, 5) as stage:
        web = Web(stage, httpx.Response(429, headers=headers, json={"msg": "busy"}), httpx.Response(201), timeout=0)
        response = await web.post()
        assert (response.status_code, response.json()) == (429, {"msg": "busy"})
        assert (await stage.status()).pending == 0
        await stage.pass_time(wait - 0.5)
        await stage.read()
        with pytest.raises(Saturated):
            await web.post()
        await stage.pass_time(1.0)
        await stage.read()
        assert (await web.post()).status_code == 201


@both_colours
async def test_a_429_is_sent_again_when_asked_for_with_the_same_body(colour):
    async with Stage(colour, 5) as stage:
        refusal = streamed(429, b"busy", **{"Retry-After": "3"})
        body = refusal.stream
        web = Web(stage, refusal, httpx.Response(429), httpx.Response(201), retry=True, timeout=60)
        response = await stage.outcome(stage.start(web.post(content=b'{"to":"+1"}')))
        assert response.status_code == 201
        assert web.bodies == [b'{"to":"+1"}'] * 3
        assert len(set(web.reservations)) == 3
        # Its connection did not wait in line.
        assert body.closed
        assert (await stage.status()).pending == 1


@both_colours
async def test_out_of_time_the_last_429_is_what_the_client_gets(colour):
    async with Stage(colour, 5) as stage:
        web = Web(stage, streamed(429, b"busy"), streamed(429, b"still busy"), retry=True, timeout=4)
        response = await stage.outcome(stage.start(web.post()))
        assert response.status_code == 429
        assert response.text == "still busy"
        assert response.elapsed is not None
        status = await stage.status()
        assert (status.pending, status.waiting) == (0, 0)


@both_colours
async def test_a_body_that_streams_is_sent_once(colour):
    def parts():
        yield b"once"

    async def aparts():
        yield b"once"

    async with Stage(colour, 5) as stage:
        web = Web(stage, httpx.Response(429), httpx.Response(201), retry=True, timeout=60)
        response = await web.post(content=aparts() if colour.tasks else parts())
        assert response.status_code == 429
        assert web.bodies == [b"once"]


# Bodies, ids, closing.


@both_colours
async def test_a_call_id_is_read_from_the_answer_and_leaves_that_to_the_client(colour):
    async with Stage(colour) as stage:
        answer = streamed()
        body = answer.stream
        web = Web(stage, answer, track=True, call_id=lambda response: response.json()["call_id"], timeout=0)
        response = await web.post()
        assert response.json() == {"call_id": "call-7"}
        assert response.elapsed is not None
        assert body.closed
        assert (await stage.status()).pending == 1
        await stage.guard.call_ended("call-7")
        assert (await stage.status(lambda status: not status.pending)).free == 1


@both_colours
async def test_a_call_is_accepted_though_its_answer_breaks_off(colour):
    class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            yield b"{"
            raise httpx.ReadError("broken off")

        async def __aiter__(self):
            yield b"{"
            raise httpx.ReadError("broken off")

    async with Stage(colour) as stage:
        web = Web(stage, httpx.Response(201, stream=Broken()), call_id=lambda response: response.json()["call_id"])
        with pytest.raises(httpx.ReadError):
            await web.post()
        await stage.pass_time(POLICY["visibility_lag"] + 0.1)
        await stage.read()
        # Sooner than an unknown outcome.
        assert (await stage.status()).pending == 0


@both_colours
async def test_a_call_id_that_fails_loses_neither_call_nor_answer(colour, caplog):
    async with Stage(colour) as stage:
        web = Web(stage, streamed(body=b"not JSON"), call_id=lambda response: response.json()["call_id"])
        response = await web.post()
        assert response.text == "not JSON"
        assert "call_id() failed" in caplog.text
        assert (await stage.status()).pending == 1


@both_colours
async def test_an_answer_that_nobody_reads_here_streams(colour):
    async with Stage(colour) as stage:
        answer = streamed()
        web = Web(stage, answer)
        if colour.tasks:
            async with web.client.stream("POST", "/calls") as response:
                assert not response.is_stream_consumed
                assert [part async for part in response.aiter_raw()] == [b'{"cal', b'l_id": "call-7"}']
        else:
            with web.client.stream("POST", "/calls") as response:
                assert not response.is_stream_consumed
                assert list(response.iter_raw()) == [b'{"cal', b'l_id": "call-7"}']


@both_colours
async def test_closing_closes_the_sender_and_leaves_the_guard(colour):
    closed = []

    class Sender(httpx.MockTransport):
        def __enter__(self):
            closed.append("entered")
            return self

        def __exit__(self, *exc):
            closed.append("left")

        def close(self):
            closed.append("closed")

        async def __aenter__(self):
            return self.__enter__()

        async def __aexit__(self, *exc):
            self.__exit__()

        async def aclose(self):
            self.close()

    async with Stage(colour) as stage:
        sender = Sender(lambda _: httpx.Response(201))
        if colour.tasks:
            transport = AsyncAdmissionTransport(stage.guard, sender, places="POST /calls")
            async with httpx.AsyncClient(transport=transport):
                pass
            await transport.aclose()
        else:
            transport = AdmissionTransport(stage.guard.guard, sender, places="POST /calls")
            with httpx.Client(transport=transport):
                pass
            transport.close()
        assert closed == ["entered", "left", "closed"]
        reservation = await stage.guard.acquire()
        reservation.release()


@pytest.mark.usefixtures("ledger_has_time")
@both_colours
async def test_a_deactivated_guard_lets_every_request_through(colour):
    async with Stage(colour, 1, count=1) as stage:
        web = Web(stage, streamed(), call_id=lambda response: response.json()["call_id"], track=True, timeout=0)
        with deactivate(stage.guard if colour.tasks else stage.guard.guard):
            assert (await web.post()).json() == {"call_id": "call-7"}
        assert stage.provider.readings == 0
