"""The Celery application of the test's workers. A job is acknowledged when it is over: a killed one comes again."""

from celery import Celery

from admission.integrations.celery import admitted
from tests.queues import phone

app = Celery("queues", broker=phone.REDIS)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": phone.SETUP["visible"],
        # A worker that is killed while it looks for what to deliver again keeps others from that for so long.
        "unacked_mutex_expire": phone.SETUP["visible"],
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=phone.SETUP["jobs_per_process"],
)
guard = phone.make_guard()


@app.task(name="dial")
@phone.counted
@admitted(guard, wait=phone.WAIT)
def dial(contact):
    return phone.dial(contact)
