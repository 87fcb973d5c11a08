"""arq."""

import asyncio

from arq import ArqRedis

from tests.queues.crew import Crew


class ArqCrew(Crew):
    budget = 3
    told_again_after = 3.0
    """arq ends its main task by one cancellation, which a request to Redis may swallow: then it goes on as before."""

    def command(self):
        return ["-m", "arq", "tests.queues.arq_worker.WorkerSettings"]

    def enqueue(self, contact):
        async def enqueue():
            async with ArqRedis.from_url(self.stage.redis) as pool:
                await pool.enqueue_job("dial_soft" if contact.startswith("soft") else "dial", contact)

        asyncio.run(enqueue())

    def is_idle(self):
        return self.connection.zcard("arq:queue") == 0

    def kill_all(self):
        super().kill_all()
        # As if their time in progress, ten seconds longer than their time limit, were over.
        for key in self.connection.scan_iter("arq:in-progress:*"):
            self.connection.delete(key)
