"""Celery, with acknowledgement when a task is over."""

import os
import signal

from celery import Celery

from tests.queues.crew import Crew


class CeleryCrew(Crew):
    budget = 3
    hard = True

    def __init__(self, stage):
        super().__init__(stage)
        self._app = Celery("queues", broker=stage.redis)
        self._app.conf.task_ignore_result = True
        self._app.conf.broker_transport_options = {"visibility_timeout": stage.visible}
        self._broker = self._app.connection_for_write()

    def command(self):
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
        return ["-m", "celery", "-A", "tests.queues.celery_worker", "worker", f"-c{self.stage.workers}", *quiet]

    def enqueue(self, contact):
        limits = {}
        if contact.startswith(("soft", "hard")):
            limits = {"soft_time_limit": self.stage.soft, "time_limit": 2 * self.stage.soft + 60}
        if contact.startswith("hard"):
            limits["time_limit"] = 2 * self.stage.soft
        self._app.send_task("dial", [contact], **limits)

    def is_idle(self):
        # By itself, kombu 5.4 looks only once in 100 s for what is to be delivered again.
        self._broker.default_channel.qos.restore_visible(num=1_000, interval=1)
        return self.connection.llen("celery") == 0 and self.connection.hlen("unacked") == 0

    def kill(self, pid, contact):
        if contact.endswith("after") or pid not in {process.pid for process in self.family()}:
            super().kill(pid, contact)
        else:
            os.kill(pid, signal.SIGKILL)  # the pool's child alone: its parent delivers the job again

    def close(self):
        self._broker.close()
        self._app.close()
        super().close()
