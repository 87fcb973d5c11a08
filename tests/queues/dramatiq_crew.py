"""Dramatiq, on its Redis broker."""

from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from tests.queues.crew import Crew


class DramatiqCrew(Crew):
    budget = 0

    def __init__(self, stage):
        super().__init__(stage)
        self._broker = RedisBroker(url=stage.redis, middleware=[])

    def command(self):
        return ["-m", "dramatiq", "tests.queues.dramatiq_worker", "--processes=1", f"--threads={self.stage.workers}"]

    def enqueue(self, contact):
        options = {"time_limit": self.stage.soft * 1000} if contact.startswith("soft") else {}
        message = Message(queue_name="default", actor_name="dial", args=(contact,), kwargs={}, options=options)
        self._broker.enqueue(message)

    def is_idle(self):
        return not any(self.connection.hlen(f"dramatiq:{queue}.msgs") for queue in ("default", "default.DQ"))

    def close(self):
        self._broker.close()
        super().close()
