"""The examples of `docs/guides/task-queues.md`, run by the command of their section, in a folder."""

import os
import re
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.queues.crew import ROOT, Processes
from tests.waiting import wait_until

PAGE = (ROOT / "docs" / "guides" / "task-queues.md").read_text("utf-8")
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)

READER = '''
import json
import os
from urllib.request import Request, urlopen

leads = [f"lead-{number}" for number in range(12)]


class client:
    """A reader's own client."""

    @staticmethod
    def start(lead):
        headers = {"X-API-KEY": os.environ["PURETALK_API_KEY"], "Content-Type": "application/json"}
        body = json.dumps({"duration": 0.1, "metadata": {"contact": lead}}).encode()
        with urlopen(Request(os.environ["PURETALK_BASE_URL"] + "/calls", body, headers)) as answer:
            return json.load(answer)["call_id"]
'''


TITLES = {"celery": "Celery", "rq": "RQ", "arq": "arq", "dramatiq": "Dramatiq"}


def blocks_of(title):
    """Return a section's module, the command that works on its jobs, and what enqueues some."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    (_, module), (kind, command), (_, enqueue) = BLOCK.findall(section)
    assert kind == "console"
    return module, command, enqueue


@pytest.mark.slow
def test_the_examples_work_as_they_stand_all_on_one_account(server, provider, tmp_path):
    with server.client() as client:
        client.flushall()
    programs = str(Path(sys.executable).parent)
    with ExitStack() as stack:
        workers, campaigns = [], []
        for name, title in TITLES.items():
            module, command, enqueue = blocks_of(title)
            folder = tmp_path / name
            folder.mkdir()
            (folder / "reader.py").write_text(READER)
            (folder / "dials.py").write_text(f"from reader import client\n{module}")
            (folder / "campaign.py").write_text(f"from reader import leads\nfrom dials import *\n{enqueue}")
            environ = os.environ | {
                "PURETALK_API_KEY": provider.fake.api_key,
                "PURETALK_BASE_URL": provider.url,
                "ADMISSION_REDIS_URL": server.url,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
                "PATH": os.pathsep.join([programs, os.environ["PATH"]]),
            }
            for commands, made in ((shlex.split(command), workers), ([sys.executable, "campaign.py"], campaigns)):
                made.append(stack.enter_context(Processes()))
                made[-1].run(commands, cwd=folder, env=environ)
        try:
            wait_until(lambda: len(provider.dialled()) == 12, 90)
        except AssertionError as error:
            error.add_note("\n".join(one.complaints()[-2000:] for one in (*workers, *campaigns)))
            raise
    assert sorted(provider.dialled()) == sorted(f"lead-{number}" for number in range(12))
    assert provider.fake.overshoots == 0
