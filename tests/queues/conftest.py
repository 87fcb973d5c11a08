"""A Redis, a provider and a crew for each test."""

from contextlib import contextmanager

import pytest

from admission.testing import FakePureTalk, serve
from tests.integration.fleet_crews import KEY
from tests.queues.arq_crew import ArqCrew
from tests.queues.celery_crew import CeleryCrew
from tests.queues.crew import Stage
from tests.queues.dramatiq_crew import DramatiqCrew
from tests.queues.rq_crew import RqCrew
from tests.servers import redis_server

CREWS = {"celery": CeleryCrew, "rq": RqCrew, "arq": ArqCrew, "dramatiq": DramatiqCrew}
LIMIT = 5
POLICY = {
    "refresh_interval": 0.05,
    "visibility_lag": 0.05,
    "placement_timeout": 3.0,
    "lease_ttl": 3.0,
    "max_staleness": 5.0,
}


class Provider:
    """The stand-in provider: it takes every call, so that its truth tells what the workers did wrong."""

    def __init__(self):
        self.fake = FakePureTalk(LIMIT, api_key=KEY, enforce=False)
        self.url = ""

    def dialled(self):
        """Return the contact of every call that was placed."""
        with self.fake._lock:
            return [call.metadata["contact"] for call in self.fake._book._calls.values()]


@pytest.fixture
def provider():
    one = Provider()
    with serve(one.fake) as served:
        one.url = served.url
        yield one


@pytest.fixture(scope="module")
def server():
    with redis_server() as one:
        yield one


@pytest.fixture(params=CREWS)
def name(request):
    return request.param


@pytest.fixture
def hire(name, server, provider):
    """Return what makes a crew of this queue, and yields it."""
    with server.client() as client:
        client.flushall()

    @contextmanager
    def hire(**more):
        policy = POLICY | more.pop("policy", {})
        crew = CREWS[name](Stage(api=provider.url, key=KEY, redis=server.url, account=name, policy=policy, **more))
        try:
            yield crew
        finally:
            crew.close()

    return hire
