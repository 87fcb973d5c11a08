"""RQ, with a scheduler."""

from rq import Queue, Retry

from tests.queues.crew import Crew


class RqCrew(Crew):
    budget = 1
    told_again_after = 20.0
    """RQ notes a shutdown for the end of its job; one that comes between a job and the wait for the next one is lost.

    The second one kills what is running, so it comes when all that was running is surely over.
    """

    def __init__(self, stage):
        super().__init__(stage)
        self._queue = Queue(connection=self.connection)

    def command(self):
        return ["-m", "tests.queues.rq_worker", str(self.stage.workers)]

    def enqueue(self, contact):
        limit = self.stage.soft if contact.startswith("soft") else 60
        self._queue.enqueue(
            "tests.queues.rq_worker.dial", contact, retry=Retry(max=self.budget), job_timeout=limit, result_ttl=0
        )

    def is_idle(self):
        registries = (self._queue.scheduled_job_registry, self._queue.started_job_registry)
        keys = [registry.key for registry in registries]
        lists = [self._queue.key, self._queue.intermediate_queue_key]
        return not any([*map(self.connection.zcard, keys), *map(self.connection.llen, lists)])

    def kill(self, pid, contact):
        horse = next((process for process in self.family() if process.pid == pid), None)
        if horse is None:
            return
        if contact.endswith("before"):
            horse.kill()  # its worker sees to the job
            return
        horse.parent().kill()
        horse.kill()
        self._give_up(lambda job: job.args == (contact,))

    def stop(self):
        super().stop()
        # What a worker had just taken, or lost, when it was told to stop is found by RQ's maintenance, a minute and
        # more later.
        while self.connection.lmove(self._queue.intermediate_queue_key, self._queue.key):
            pass
        self._give_up(lambda _: True)

    def _give_up(self, is_lost):
        """Deliver again what began and is lost, as if its time without a sign of life, a minute and more, were over."""
        registry = self._queue.started_job_registry
        for entry in self.connection.zrange(registry.key, 0, -1):
            job = self._queue.fetch_job(entry.decode().split(":")[0])
            if job is not None and is_lost(job):
                self.connection.zadd(registry.key, {entry: 1})
        registry.cleanup()
