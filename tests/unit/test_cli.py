"""The parts of the command line that need no process of their own."""

import io
import logging
import subprocess
import sys

import pytest

from admission.cli import exits, main
from admission.cli.demo.provider import Truth
from admission.cli.demo.report import percentile, text
from admission.cli.demo.settings import settings_of
from admission.cli.demo.view import Scene, _bar, viewed
from admission.cli.demo.worker import Job
from admission.cli.text import hide, log_to_stderr, say, table, write
from admission.errors import (
    AdmissionError,
    Closed,
    ConfigurationError,
    LedgerUnavailable,
    Paused,
    QueueFull,
    Saturated,
    UsageError,
    UsageUnavailable,
)

REFUSAL = {"limit": 20, "in_use": 20, "waited": 0.0, "position": 0, "retry_after": 1.0}


def settings(**changes):
    asked = {
        "limit": 20, "workers": None, "seconds": 12.0, "processes": None, "redis": False, "guarded": True, "seed": 0,
    }  # fmt: skip
    return settings_of(**{**asked, **changes})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Saturated("", **REFUSAL), 75),
        (QueueFull("", **REFUSAL), 75),
        (Paused("", **REFUSAL), 75),
        (UsageUnavailable(""), 69),
        (LedgerUnavailable(""), 69),
        (UsageError(""), 69),
        (ConfigurationError(""), 78),
        (Closed(""), 70),
        (AdmissionError(""), 70),
    ],
)
def test_which_error_ends_in_which_code(error, code):
    assert exits.code_of(error) == code


def test_every_code_has_a_meaning_in_the_help():
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert codes - {exits.BY_SIGNAL} == set(exits.MEANINGS)
    assert exits.epilog(75, **{"128_n": "a signal"}).splitlines()[2] == "  128+n a signal"


def test_importing_the_command_line_needs_no_extra():
    block = "import sys; sys.modules.update(rich=None, uvicorn=None); import admission.cli"
    subprocess.run([sys.executable, "-c", block], check=True, timeout=30)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND; see `admission --help`"),
        (["dial"], "invalid choice: 'dial'"),
        (["pause"], "required: --reason; see `admission pause --help`"),
        (["status", "now"], "unknown arguments: now"),
        (["run"], "after --"),
        (["run", "--timeout", "-1", "--", "true"], "a number of seconds from 0"),
        (["demo", "--sec", "3"], "unknown arguments"),
        (["demo", "--workers", "many"], "a whole number from 1 to 5000"),
    ],
)
def test_wrong_arguments(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (64, "")
    assert complaint in err.splitlines()[-1]
    assert err.startswith("usage: admission")


def test_what_fails_inside_is_told_with_its_trace_but_not_with_the_key(capsys, monkeypatch):
    def fail(_arguments):
        raise ValueError("the key is pt-live-0123")

    monkeypatch.setenv("PURETALK_API_KEY", "pt-live-0123")
    monkeypatch.setattr(sys.modules["admission.cli.main"], "_run", fail)
    assert main([]) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("ValueError: the key is ***\n")


def test_an_interrupt_has_its_code(monkeypatch):
    def interrupt(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["admission.cli.main"], "_run", interrupt)
    assert main([]) == 130


def test_messages_are_one_line_without_secrets(capsys, monkeypatch):
    monkeypatch.setenv("PURETALK_API_KEY", "pt-live-0123")
    monkeypatch.setenv("ADMISSION_REDIS_URL", "redis://:p%40ssword@example:6379/0")
    say("first pt-live-0123\n  second p@ssword p%40ssword")
    assert capsys.readouterr().err == "admission: first *** second *** ***\n"
    monkeypatch.setenv("ADMISSION_REDIS_URL", "redis://[nonsense")
    monkeypatch.setenv("PURETALK_API_KEY", "")
    assert hide("nothing is secret") == "nothing is secret"


def test_nothing_that_others_said_moves_the_cursor(capsys):
    evil = "\x1b]0;title\x07 \x1b[2J\x9b1A \r\u202e"
    say(f"paused: {evil}")
    write(table([("paused", f"yes: {evil}\nlimit 1000"), ("limit", "20")]))
    write(f"it is paused: {evil}")
    told = capsys.readouterr()
    assert told.err == "admission: paused: ?]0;title? ?[2J?1A ?\n"
    rows = told.out.split("\n")
    assert rows[0] == "paused  yes: ?]0;title? ?[2J?1A ???limit 1000"
    assert rows[1:] == ["limit   20", "it is paused: ?]0;title? ?[2J?1A ??", ""]


def test_log_records_are_said_once_while_they_repeat(capsys):
    logger = logging.getLogger("admission")
    former = logger.handlers[:], logger.propagate
    try:
        log_to_stderr(on=True)
        for message in ("down", "down", "admission: up", "down"):
            logger.warning(message)
        logger.info("not of interest")
        log_to_stderr(on=False)
        logger.warning("nobody listens")
    finally:
        logger.handlers[:], logger.propagate = former
    assert capsys.readouterr().err == "admission: down\nadmission: up\nadmission: down\n"


@pytest.mark.parametrize("fault", [OSError("no space left on device"), None])
def test_a_command_goes_on_where_nobody_hears_its_log(monkeypatch, fault):
    class Gone:
        def write(self, _text):
            raise fault

    logger = logging.getLogger("admission")
    former = logger.handlers[:], logger.propagate
    try:
        log_to_stderr(on=True)
        monkeypatch.setattr("sys.stderr", Gone() if fault else None)
        logger.warning("down")
    finally:
        logger.handlers[:], logger.propagate = former


def test_a_table_is_aligned():
    assert table([("a", "1"), ("long", "2"), ("", "")]) == "a     1\nlong  2\n"


def test_percentiles_are_values_that_occurred():
    assert percentile([], 50) is None
    assert percentile([3.0], 50) == percentile([3.0], 95) == 3.0
    hundred = [float(value) for value in range(100, 0, -1)]
    assert (percentile(hundred, 50), percentile(hundred, 95), percentile(hundred, 100)) == (50.0, 95.0, 100.0)


def test_what_is_not_asked_for_is_chosen():
    assert (settings().workers, settings().processes, settings().foreign, settings().ledger) == (40, 1, 4, "memory")
    assert (settings(redis=True).processes, settings(redis=True).ledger) == (3, "redis")
    assert settings(guarded=False, processes=4, redis=True).ledger == "none"
    assert settings(limit=1, redis=True, workers=1).workers == 3  # nobody is idle
    with pytest.raises(ConfigurationError, match="--processes 2 needs --redis URL"):
        settings(processes=2)
    assert settings().policy.visibility_lag > settings().count_lag


def test_a_job_comes_out_as_it_went_in():
    job = Job(settings(), 1, 20, "http://127.0.0.1:1/api", "key", None, "demo-1")
    line = job.to_json()
    assert "\n" not in line
    assert Job.from_json(line) == job


def report_of(**changes):
    found = {
        "guarded": True, "limit": 20, "peak": 20, "overshoots": 0, "busy": 0.876, "calls": 70, "refused": 3,
        "failed": 0, "readings": 90, "waits": {"count": 70, "p50": 1.0, "p95": 2.0, "max": 3.0}, "seconds": 12.0,
        "interrupted": False, "events": {}, "settings": settings(guarded=changes.get("guarded", True)).describe(),
    }  # fmt: skip
    return text({**found, **changes})


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["Never above the limit.", "busy        87.6 % of the lines, after the ramp-up"]),
        ({"overshoots": 2, "peak": 22}, ["The guard has failed: 2 calls above the limit at the peak."]),
        ({"guarded": False}, ["Never above the limit, this time."]),
        ({"interrupted": True, "busy": None}, ["calls       70 in 12.0 s, interrupted", "busy        -"]),
        ({"events": {"lapsed": 2, "ledger_down": 1}}, ["logged      lapsed 2, ledger_down 1"]),
        ({"failed": 4}, ["failed      4"]),
        ({"waits": {"count": 0, "p50": None, "p95": None, "max": None}}, ["waited      -"]),
    ],
)
def test_a_report_says_what_happened(changes, lines):
    for line in lines:
        assert line in report_of(**changes).splitlines()


def scene(elapsed, *, live=20, peak=20):
    truth = Truth(elapsed, 20, live, 4, peak, max(peak - 20, 0), 70, 90, 0.9)
    book = {"limit": 20, "in_use": 21, "pending": 2, "held": 14, "usage_age": 0.05, "untracked": 5}
    return Scene(truth, {"waiting": 3, "admitted": 70, "refused": 1}, book)


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_line_a_second_without_a_terminal():
    out = io.StringIO()
    with viewed(settings(), out) as show:
        for tenth in range(21):
            show(scene(tenth / 10))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("  0.0 s  in use 21/20 (pending 2, held 14, untracked 5)  reading 0.05 s old  waiting 3")


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out = Screen()
    with viewed(settings(guarded=False), out) as show:
        show(Scene(scene(0).truth, {}, None))
    assert out.getvalue() == "  0.0 s  live 20/20  waiting 0  admitted 0  peak 20  overshoots 0\n"


@pytest.mark.parametrize("guarded", [True, False])
def test_a_terminal_gets_bars(monkeypatch, guarded):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = Screen()
    seen = scene(3.0, live=26, peak=30)
    with viewed(settings(guarded=guarded), out) as show:
        show(seen if guarded else Scene(seen.truth, seen.counts, None))
    shown = out.getvalue()
    assert ("by the books" in shown) == guarded
    assert "26 of 20" in shown
    assert "overshoots 10" in shown


@pytest.mark.parametrize(("live", "limit", "top"), [(0, 20, 24), (20, 20, 24), (24, 20, 24), (500, 7, 500), (3, 1, 3)])
def test_bars_are_all_of_one_length(live, limit, top):
    bar = _bar([("own", live, "green")], limit, top, beyond="red")
    assert len(bar) == 61
    assert bar.plain.count("│") == 1
    assert bar.plain.count("█") == round(live * 60 / top)
    reds = [span for span in bar.spans if span.style == "red"]
    assert bool(reds) == (live > limit)
