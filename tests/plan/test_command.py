"""`admission plan` as it is typed."""

import json
import sys
from xml.etree import ElementTree as ET

import pytest

from admission.cli import main

SVG = "{http://www.w3.org/2000/svg}"
QUICK = ["--effort", "0.1", "--jobs", "1"]
SMALL = ["plan", "--limit", "10", "--calls-per-hour", "500"]
FIGURES = {
    "lives", "seconds", "warm_up_seconds", "leads", "starts", "foreign_starts", "busy", "busy_foreign",
    "leads_per_hour", "calls_per_hour", "wait_p50", "wait_p95", "wait_longest", "refused", "most_at_once", "most_above",
    "no_line_per_1000", "no_line_per_1000_at_most", "foreign_turned_away", "most_workers", "short_of_workers", "spread",
}  # fmt: skip


def told(capsys, *arguments):
    assert main([*SMALL, *QUICK, *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def test_json_has_all_that_was_found(capsys):
    answer = told(capsys, "--foreign-per-minute", "1", "--timeout", "20", "--seed", "5")
    assert set(answer) == {
        "case", "seed", "accepted", "found", "carries", "erlang", "limit_needed", "advice", "as_given", "others",
        "swept", "limits", "simulated", "looks",
    }  # fmt: skip
    assert set(answer["found"]) == set(answer["as_given"]) == FIGURES
    for row in [*answer["others"], *answer["swept"], *answer["limits"]]:
        assert set(row) == FIGURES | {"setting", "value"}
    assert set(answer["found"]["spread"]) < FIGURES
    assert answer["seed"] == 5
    assert answer["case"]["foreign_per_hour"] == 60
    assert answer["case"]["policy"]["timeout"] == 20
    assert 0 < answer["found"]["busy"] <= 1
    low, high = answer["found"]["spread"]["busy"]
    assert low <= answer["found"]["busy"] <= high
    for one in answer["advice"]:
        assert set(one) == {"setting", "value", "text"}
    told_of = answer["simulated"]
    assert told_of["starts"] >= answer["found"]["starts"]
    assert set(told_of) == {"lives", "starts", "seconds", "warm_up_seconds", "requests"}


def test_people_get_tables_with_what_was_simulated(capsys):
    assert main([*SMALL, *QUICK, "--foreign-per-hour", "60", "--timeout", "20"]) == 0
    out = capsys.readouterr().out
    for words in (
        "500 calls an hour of 53 s on 10 lines, by `hold`", "waited, p50 / p95 / longest", "by Erlang's formula",
        "callers refused", "starts with no line free", "calls of others turned away", "with one thing changed",
        "headroom 1", "lives of the account", "s of warm-up. Seed 0.",
    ):  # fmt: skip
        assert words in out


def test_the_same_words_give_the_same_answer(capsys):
    assert told(capsys, "--call-seconds", "60") == told(capsys, "--call-seconds", "60")


def test_what_lies_in_the_current_folder_is_not_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "pickle.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    assert told(capsys, "--jobs", "2")["looks"]


def test_a_mix_is_what_was_told(capsys):
    answer = told(capsys, "--mix", "human=60:90~400", "--mix", "failed=0", "--ring", "10-12")
    mix = {one["name"]: one for one in answer["case"]["mix"]}
    assert mix["human"] == {"name": "human", "share": 60, "seconds": "90~400", "answered": True}
    assert mix["failed"]["share"] == 0
    assert mix["voicemail"]["share"] == 35
    assert answer["case"]["ring_seconds"] == "10-12"


@pytest.mark.parametrize("arguments", [["--foreign-per-hour", "90"], ["--call-seconds", "30"]])
def test_a_plot_is_well_formed_and_shows_the_sweep(arguments, tmp_path, capsys):
    path = tmp_path / "plan.svg"
    assert main([*SMALL, *QUICK, *arguments, "--plot", str(path)]) == 0
    page = ET.fromstring(path.read_text("utf-8"))
    assert page.find(f"{SVG}title").text.startswith("500 calls an hour of")
    assert len(list(page.iter(f"{SVG}polyline"))) == 2
    assert len(list(page.iter(f"{SVG}path"))) == 2 + ("--foreign-per-hour" in arguments)
    words = " ".join(text.text for text in page.iter(f"{SVG}text"))
    assert ("headroom" if "--foreign-per-hour" in arguments else "calls per hour expected") in words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["plan"], "required: --limit, --calls-per-hour"),
        ([*SMALL, "--limit", "0"], "a whole number from 1 to 5000"),
        ([*SMALL, "--calls-per-hour", "0"], "a number from 0.1 to 200000"),
        ([*SMALL, "--call-seconds", "30-20"], "give seconds as 60, 20-40 or 75~300"),
        ([*SMALL, "--call-seconds", "9999"], "up to 3600"),
        ([*SMALL, "--mix", "human"], "a share from 0"),
        ([*SMALL, "--mix", "fax=20"], "give one of no-answer, busy, failed, voicemail, human"),
        ([*SMALL, "--mix", "human=10", "--call-seconds", "60"], "not allowed with"),
        ([*SMALL, *(f"--mix={name}=0" for name in ("no-answer", "busy", "failed", "voicemail", "human"))], "above 0"),
        ([*SMALL, "--headroom", "10"], "leaves no line to dial on"),
        ([*SMALL, "--headroom", "-1"], "headroom=-1"),
        ([*SMALL, "--visibility-lag", "301"], "visibility_lag=301"),
        ([*SMALL, "--refresh-interval", "10"], "max_staleness=15 must be at least twice"),
        ([*SMALL, "--way", "bare"], "invalid choice: 'bare'"),
        ([*SMALL, "--workers", "2", "--processes", "4"], "more than the 2 workers"),
        ([*SMALL, "--foreign-per-hour", "1", "--foreign-per-minute", "1"], "not allowed with"),
        ([*SMALL, "--effort", "0"], "a number from 0.05"),
        ([*SMALL, "--wait", "-1"], "a number of seconds from 0"),
    ],
)
def test_wrong_arguments(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (64, "")
    assert complaint in err.splitlines()[-1]
    assert err.startswith("usage: admission plan")


def test_a_plot_that_cannot_be_written_is_told_at_once(capsys, tmp_path):
    assert main([*SMALL, "--plot", str(tmp_path / "no" / "plan.svg")]) == 78
    assert "cannot be written" in capsys.readouterr().err


def test_without_rich_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert main([*SMALL, *QUICK]) == 78
    assert "install admission[cli]" in capsys.readouterr().err
