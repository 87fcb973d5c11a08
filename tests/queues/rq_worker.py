"""The RQ job of the test's workers; as a command, the workers: one process each, which forks for every job."""

import multiprocessing
import signal
import sys

import redis
from rq import Queue, Worker

from admission.integrations.rq import admitted
from tests.queues import phone

guard = phone.make_guard()


@phone.counted
@admitted(guard, wait=phone.WAIT)
def dial(contact):
    return phone.dial(contact)


def work():
    connection = redis.Redis.from_url(phone.REDIS)
    Worker([Queue(connection=connection)], connection=connection).work(with_scheduler=True, logging_level="WARNING")


def run(number):
    """Run so many workers until they are told to stop."""
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work) for _ in range(number)]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGTERM, lambda *_: [worker.terminate() for worker in workers])
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    # A job is found under this module's own name: imported here, it is so only once for all of them.
    import tests.queues.rq_worker as module

    module.run(int(sys.argv[1]))
