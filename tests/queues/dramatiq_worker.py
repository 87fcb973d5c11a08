"""The Dramatiq actor of the test's workers."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Retries, TimeLimit

from admission.integrations.dramatiq import admitted
from tests.queues import phone

broker = RedisBroker(
    url=phone.REDIS,
    middleware=[TimeLimit(interval=50), Retries(), CurrentMessage()],
    # Whoever is not heard for so long is dead, and every request looks for them.
    heartbeat_timeout=phone.SETUP["visible"] * 1000,
    maintenance_chance=1_000_000,
)
dramatiq.set_broker(broker)
guard = phone.make_guard()


@dramatiq.actor(max_retries=0)
@phone.counted
@admitted(guard, wait=phone.WAIT)
def dial(contact):
    return phone.dial(contact)
