"""Which `admission` the tests are about: the tree's that they belong to, or, without its source, the installed one."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import admission

ROOT = Path(__file__).parents[2]
CODE = "import admission; print(admission.__file__)"


@pytest.fixture
def expected():
    source = ROOT / "admission" / "__init__.py"
    return source if source.exists() else Path(sysconfig.get_path("purelib")) / "admission" / "__init__.py"


def test_it_is_the_tree_s_own_or_the_installed_one(expected):
    assert Path(admission.__file__) == expected


def test_processes_that_tests_start_have_the_same(expected):
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == expected
