"""`admission demo`: what it measures, shows and reports, and how it ends."""

import json
import signal
from contextlib import ExitStack
from xml.etree import ElementTree as ET

import psutil
import pytest

from tests.integration.cli_kit import NOHUP, Terminal, environment, finish, started
from tests.servers import free_port, redis_server

OVERSHOT, USAGE, UNAVAILABLE, CONFIG = 1, 64, 69, 78

DEMOS = {
    "guarded": ["--seconds", "3", "--json"],
    "unguarded": ["--seconds", "3", "--json", "--unguarded", "--processes", "2"],
    "redis": ["--seconds", "3", "--json", "--redis"],
    "report": ["--seconds", "2", "--limit", "5"],
    "unguarded report": ["--seconds", "2", "--unguarded"],
    "plot": ["--seconds", "1.5", "--limit", "5", "--json", "--plot"],
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return tmp_path_factory.mktemp("plot") / "demo.svg"


@pytest.fixture(scope="module")
def demos(drawn):
    """Run several demos side by side, for the time that this saves; return what came of each."""
    last = {"redis": lambda: [url], "plot": lambda: [str(drawn)]}
    with ExitStack() as stack:
        url = stack.enter_context(redis_server()).url
        running = {
            name: stack.enter_context(started("demo", *arguments, *last.get(name, list)(), env=environment()))
            for name, arguments in DEMOS.items()
        }
        return {name: finish(process) for name, process in running.items()}


def result(done):
    """Return the one JSON object on stdout."""
    (line,) = done.out.splitlines()
    return json.loads(line)


@pytest.mark.parametrize("name", ["guarded", "redis"])
def test_the_guard_never_overshoots(demos, name):
    assert demos[name].code == 0
    found = result(demos[name])
    assert found["guarded"] is True
    assert found["overshoots"] == 0
    assert 4 < found["peak"] <= found["limit"] == 20
    # A busy machine dials slowly.
    assert found["calls"] >= 5
    assert 0.2 < found["busy"] <= 1
    assert found["readings"] > 2
    assert found["failed"] == 0
    assert found["interrupted"] is False
    assert found["settings"]["ledger"] == ("memory" if name == "guarded" else "redis")
    assert found["settings"]["processes"] == (1 if name == "guarded" else 3)
    assert found["settings"]["policy"]["refresh_interval"] == 0.1


def test_the_numbers_agree(demos):
    found = result(demos["guarded"])
    waits = found["waits"]
    assert waits["count"] == found["calls"]
    assert 0 <= waits["p50"] <= waits["p95"] <= waits["max"] < 30
    assert found["refused"] >= 0
    assert 3 <= found["seconds"] < 30
    assert found["settings"]["seconds"] == 3


def test_without_the_guard_the_same_load_overshoots(demos):
    assert demos["unguarded"].code == 0
    found = result(demos["unguarded"])
    assert found["guarded"] is False
    assert found["overshoots"] > 0
    assert found["peak"] > found["limit"] == 20
    assert found["settings"]["processes"] == 2
    assert found["settings"]["ledger"] == "none"
    assert found["settings"]["policy"] is None


def test_progress_goes_where_the_result_does_not(demos):
    lines = demos["guarded"].err.splitlines()
    assert len(lines) >= 3
    assert all("peak" in line for line in lines)
    assert "in use" in lines[-1]


def test_a_report_for_people(demos):
    done = demos["report"]
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
    assert "peak        5 live calls, limit 5" in done.out
    assert "overshoots  0 calls" in done.out
    assert done.out.endswith("Never above the limit.\n")


def test_a_report_of_what_goes_wrong(demos):
    done = demos["unguarded report"]
    assert (done.code, done.err) == (0, "")
    assert "above the limit at the peak: between a check and its dial, others dial.\n" in done.out


def test_a_plot_shows_the_load_by_hand_and_with_the_guard(demos, drawn):
    assert demos["plot"].code == 0
    found = result(demos["plot"])
    assert (found["unguarded"]["guarded"], found["guarded"]["guarded"]) == (False, True)
    texts = [element.text for element in ET.parse(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"by hand: read the count, dial below the limit", "with admission"} < set(texts)
    assert any(f"at most {found['guarded']['peak']} calls at once, limit 5; never above it" in text for text in texts)


def test_a_plot_that_cannot_be_written_is_told_before_anything_runs():
    with started("demo", "--plot", "/no/such/folder/demo.svg", env=environment()) as process:
        done = finish(process)
    assert done.code == CONFIG
    assert done.err == "admission: --plot /no/such/folder/demo.svg: cannot be written (No such file or directory)\n"


def test_a_live_view_and_ctrl_c():
    with Terminal("demo", "--seconds", "60", env=environment()) as terminal:
        terminal.read_until("by the books")
        terminal.read_until("reading age 0.")
        terminal.press(b"\x03")
        assert terminal.finish() == 128 + signal.SIGINT
    assert "40 dialers, guarded" in terminal.screen
    assert "█" in terminal.screen
    assert "\x1b[?25h" in terminal.screen  # the cursor is back
    assert "interrupted" in terminal.screen
    assert terminal.screen.rstrip().endswith("Never above the limit.")
    assert "Traceback" not in terminal.screen


def test_signals_end_it_with_a_report_and_without_left_over_processes():
    with started("demo", "--seconds", "60", "--json", "--limit", "5", env=environment()) as process:
        assert "in use" in _read_until(process.stderr, "in use")
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        assert not any("demo-key" in argument for one in family for argument in one.cmdline())
        process.send_signal(signal.SIGTERM)
        done = finish(process)
    assert done.code == 128 + signal.SIGTERM
    found = result(done)
    assert found["interrupted"] is True
    assert found["overshoots"] == 0
    assert found["calls"] > 0
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_ctrl_backslash_ends_it_as_ctrl_c_does():
    with Terminal("demo", "--seconds", "60", env=environment()) as terminal:
        terminal.read_until("by the books")
        terminal.press(b"\x1c")
        assert terminal.finish() == 128 + signal.SIGQUIT
    assert "\x1b[?25h" in terminal.screen  # the cursor is back
    assert "interrupted" in terminal.screen


def test_a_hang_up_that_the_caller_ignores_is_none():
    env = environment()
    with started("demo", "--seconds", "60", "--json", "--limit", "5", env=env, program=NOHUP) as process:
        _read_until(process.stderr, "in use")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert finish(process).code == 128 + signal.SIGTERM


def _read_until(lines, text):
    return next(line for line in lines if text in line)


def test_dialers_do_not_outlive_a_demo_that_is_killed():
    with started("demo", "--seconds", "60", "--json", "--limit", "5", env=environment()) as process:
        _read_until(process.stderr, "in use")
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert psutil.wait_procs(family, timeout=30)[1] == []


def test_a_lost_process_ends_the_demo():
    with started("demo", "--seconds", "60", "--json", "--limit", "5", env=environment()) as process:
        _read_until(process.stderr, "in use")
        (dialers,) = psutil.Process(process.pid).children()
        dialers.kill()
        done = finish(process)
    assert (done.code, done.out) == (70, "")
    assert "a process of dialers ended with exit code -9" in done.err


def test_a_reader_that_leaves_is_no_trouble():
    with started("demo", "--seconds", "60", "--limit", "5", env=environment()) as process:
        process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(60) == 128 + signal.SIGPIPE


def test_proxies_of_the_environment_are_not_for_this_machine():
    nobody = f"http://127.0.0.1:{free_port()}"
    env = environment(HTTP_PROXY=nobody, http_proxy=nobody, ALL_PROXY=nobody)
    with started("demo", "--seconds", "1", "--json", "--limit", "5", env=env) as process:
        done = finish(process)
    assert done.code == 0
    assert result(done)["failed"] == 0


def test_what_lies_in_the_current_folder_is_not_run(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit(99)")
    # As the script `admission`, which does not look there either.
    block = f"import os, sys; from admission.cli import main; os.chdir({str(tmp_path)!r}); sys.exit(main())"
    program = ("-P", "-c", block)
    with started("demo", "--seconds", "1", "--json", "--limit", "5", env=environment(), program=program) as process:
        assert finish(process).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--processes", "2"], CONFIG, "--processes 2 needs --redis"),
        (["--limit", "0"], USAGE, "a whole number from 1 to 1000"),
        (["--seconds", "nan"], USAGE, "a number of seconds"),
        (["--redis", "redis://127.0.0.1:1/0"], UNAVAILABLE, "the ledger did not answer"),
        (["--redis", "nonsense"], CONFIG, "the Redis URL cannot be read"),
    ],
)
def test_what_cannot_work(arguments, code, text):
    with started("demo", *arguments, env=environment()) as process:
        done = finish(process)
    assert done.code == code
    assert text in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].startswith("admission: ")
    assert "Traceback" not in done.err
