"""Without an extra, what needs it says which one; the rest of the package does not miss it."""

import subprocess
import sys

import pytest

NEEDS = {
    "celery": ("celery", "celery"),
    "rq": ("rq", "rq"),
    "arq": ("arq", "arq"),
    "dramatiq": ("dramatiq", "dramatiq"),
    "prometheus": ("prometheus_client", "prometheus"),
    "otel": ("opentelemetry", "otel"),
}
EXTRAS = [library for library, _ in NEEDS.values()] + ["rich", "uvicorn"]


def run(code, *gone):
    """Run code in a process to which some libraries are not installed."""
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in gone), code]
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", NEEDS)
def test_an_integration_without_its_library_names_the_extra(module):
    library, extra = NEEDS[module]
    done = run(f"import admission.integrations.{module}", library)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ")
    assert last.endswith(f": install admission[{extra}]")


def test_everything_else_is_there_without_any():
    code = (
        "import admission, admission.dashboard, admission.hooks, admission.sources, admission.testing\n"
        "import admission.integrations.httpx, admission.integrations.webhooks\n"
        "from admission.cli import main\n"
        "main(['--help'])"
    )
    done = run(code, *EXTRAS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: admission [-h]")


def test_a_stand_in_that_is_to_be_served_names_the_extra():
    code = "from admission.testing import FakePureTalk, serve\nwith serve(FakePureTalk()): pass"
    done = run(code, "uvicorn")
    assert done.stderr.splitlines()[-1].endswith("serving over HTTP needs uvicorn: install admission[cli]")


def test_the_package_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "admission", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("admission ")
