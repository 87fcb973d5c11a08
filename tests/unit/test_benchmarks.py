"""The parts of the benchmarks that judge and draw: figures that nobody else would check."""

import json
import math
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES, main, parse
from benchmarks.free import Pair, summary
from benchmarks.judge import Stamp, Window, crowd, first_time_full, hand_offs, percentile, starved, waits
from benchmarks.plots import Bar, Line, Scale, bars, lines, nice, number
from benchmarks.report import Column, Result, as_json, table
from benchmarks.subjects import Gate, Setup, all_subjects
from benchmarks.worker import Job, Log, read_stamps

ALWAYS = Window(0.0, 100.0)


def test_the_percentile_is_a_value_that_was_measured():
    values = [5, 1, 4, 2, 3]
    assert percentile(values, 0.5) == 3
    assert percentile(values, 0.99) == 5
    assert percentile(values, 0) == 1
    assert math.isnan(percentile([], 0.5))


def test_a_hand_off_runs_from_an_end_to_the_start_that_waited_for_it():
    # Two slots, held for 10 s, empty for 1 s and for 2 s.
    starts = [0, 1, 11, 13]
    ends = [10, 11, 21, 23]
    assert hand_offs(starts, ends, 2, ALWAYS) == [1, 2]


def test_a_hand_off_does_not_ask_which_process_the_start_came_from_nor_in_which_order():
    rng = random.Random(4)
    starts, ends = [0, 1, 11, 13], [10, 11, 21, 23]
    rng.shuffle(starts)
    rng.shuffle(ends)
    assert hand_offs(starts, ends, 2, ALWAYS) == [1, 2]


def test_hand_offs_of_other_times_do_not_count():
    assert hand_offs([0, 1, 11, 13], [10, 11, 21, 23], 2, Window(10.5, 100.0)) == [2]


def test_a_start_without_a_free_place_is_a_negative_hand_off():
    assert hand_offs([0, 5], [10, 15], 1, ALWAYS) == [-5]


def test_a_lost_place_shows_as_a_wait_for_the_next_end():
    # Two slots; the one that ends at 10 is never taken again, the other goes from hand to hand at once.
    starts = [0, 1, 12, 23, 34]
    ends = [10, 12, 23, 34, 45]
    assert hand_offs(starts, ends, 2, ALWAYS) == [2, 11, 11]


def test_violations_are_starts_above_the_limit():
    assert crowd([(0, 10), (1, 11), (2, 12), (12, 20)], 2) == (3, 1)
    assert crowd([(0, 10), (1, 11)], 2) == (2, 0)
    assert crowd([], 2) == (0, 0)


def test_who_leaves_in_the_moment_in_which_another_begins_makes_room():
    assert crowd([(0, 10), (10, 20)], 1) == (1, 0)


def test_who_never_left_holds_for_ever():
    assert crowd([(0, math.inf), (50, 60)], 1) == (2, 1)


def test_places_are_full_when_the_last_one_is_taken():
    spans = [(0, 10), (5, 7), (12, 20), (15, 30)]
    assert first_time_full(spans, 2, 0) == 5
    assert first_time_full(spans, 2, 8) == 15
    assert first_time_full(spans, 3, 0) == math.inf


def test_who_still_waits_at_the_end_has_waited_until_then():
    stamps = [Stamp(0, 90, 95, 99), Stamp(1, 40, math.inf, math.inf), Stamp(2, 1, 2, 3), Stamp(3, 99, 130, 140)]
    assert waits(stamps, Window(50, 100)) == [5, 60, 1]


def test_the_starved_are_those_who_never_began():
    stamps = [Stamp(0, 1, 2, 3), Stamp(0, 3, 4, 5), Stamp(1, 1, math.inf, math.inf)]
    assert starved(stamps, 3, ALWAYS) == 2


def test_a_process_tells_every_turn_of_its_callers_in_a_file(tmp_path):
    log = Log(3)
    log.asked[1], log.held[1] = 1.0, 2.0
    log.turn(1)
    log.asked[1] = math.inf
    log.asked[2] = 5.0
    log.write(str(tmp_path / "stamps"))
    done, waiting = read_stamps(str(tmp_path / "stamps"), 100)
    assert done[:3] == (101, 1.0, 2.0)
    assert done.ended > 2.0
    assert waiting == (102, 5.0, math.inf, math.inf)


def test_a_job_is_read_as_it_was_written():
    job = Job(label="floor sync", setup=Setup(url="redis://nowhere", limit=3, lease=2), hold=0.5, file="here")
    assert Job.read(job.text()) == job


def test_the_gate_of_the_floor_lets_in_by_turns():
    gate = Gate(1)
    gate.acquire()
    gate.release()
    gate.acquire()
    gate.release()
    assert gate._free == 1


def test_the_summary_takes_the_median_of_the_ratios():
    row = summary([Pair(0.2, 0.1), Pair(0.3, 0.1), Pair(0.9, 0.1)], 100)
    assert row["ratio"] == pytest.approx(3)
    assert row["us"] == pytest.approx(3000)
    assert row["floor_us"] == pytest.approx(1000)


def test_a_table_stands_in_columns_and_tells_what_is_missing():
    columns = (Column("subject", "subject"), Column("rate", "per s", ",.0f"))
    rows = [
        {"subject": "one", "rate": 1234.5},
        {"subject": "another", "remark": "not installed"},
        {"subject": "third", "rate": math.inf},
    ]
    lines = table(Result(title="rates", columns=columns, rows=rows)).splitlines()
    assert [line.split() for line in lines[4:8]] == [
        ["-------", "-----"],
        ["one", "1,234"],
        ["another", "-"],
        ["third", "never"],
    ]
    assert lines[8] == "  another: not installed"
    assert len({len(line) for line in lines[4:8]}) == 1


def test_the_json_has_no_numbers_that_are_none():
    rows = [{"subject": "one", "rate": math.nan, "back_s": math.inf, "starved": 0}]
    told = json.loads(as_json({"cores": 2}, {"free": Result(title="t", columns=(), rows=rows)}))
    assert told["facts"] == {"cores": 2}
    assert told["benchmarks"]["free"]["rows"] == [{"subject": "one", "rate": None, "back_s": "never", "starved": 0}]


def texts(svg):
    return [node.text for node in ET.fromstring(svg).iter() if node.text and node.text.strip()]


def test_bars_are_drawn_with_their_names_values_and_unit():
    rows = [Bar("<ours>", 1.5, ours=True), Bar("theirs", 3.0), Bar("none", math.nan), Bar("lost", math.inf)]
    svg = bars("A & B", "x floor", rows)
    assert {"A & B", "<ours>", "1.5", "theirs", "3", "x floor", "lost", "never"} <= set(texts(svg))
    assert "none" not in texts(svg)
    widths = [float(node.get("width")) for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.01)


@pytest.mark.parametrize("rows", [[], [Bar("zero", 0.0)], [Bar("negative", -1.0)]])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_bars_of_nothing_are_drawn_too(rows, logarithmic):
    ET.fromstring(bars("title", "unit", rows, logarithmic=logarithmic))


def test_lines_are_drawn_through_what_was_measured():
    svg = lines("title", "waiters", "us", [Line("ours", [(10, 1.0), (100, 2.0), (1000, math.nan)]), Line("none", [])])
    tree = ET.fromstring(svg)
    (path,) = tree.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(path.get("points").split()) == 2
    assert {"waiters", "us", "ours", "10", "100"} <= set(texts(svg))


def test_scales_end_at_round_numbers():
    assert [nice(value) for value in (0.7, 1, 1.1, 39, 41, 99)] == [0.8, 1, 2, 40, 60, 100]
    scale = Scale([3, 250], 0, 300, logarithmic=True)
    assert scale.ticks() == [1, 10, 100, 1000]
    assert scale.at(10) == pytest.approx(100)
    assert scale.at(0.1) == 0
    assert [number(value) for value in (0.1234, 12.34, 1234.5, math.inf, math.nan)] == [
        "0.123",
        "12.3",
        "1,234",
        "never",
        "-",
    ]


def test_everything_is_run_when_nothing_is_named():
    names, options = parse([])
    assert names == NAMES
    assert not options.quick
    assert options.plots is None


def test_names_may_stand_alone_or_with_commas():
    names, options = parse(["--only", "memory,free", "calls", "--quick", "--plots", "here", "--subjects", "admission"])
    assert names == ("free", "calls", "memory")
    assert options.quick
    assert options.plots == Path("here")
    assert {subject.name for subject in options.wanted()} == {"floor", "admission"}
    assert [subject.label for subject in options.wanted("sync", floor=False)] == ["admission sync"]


@pytest.mark.parametrize("names", [["nothing"], ["free,nothing"], [","]])
def test_other_names_are_refused(names, capsys):
    with pytest.raises(SystemExit):
        parse(["--only", *names])
    assert "no such benchmark" in capsys.readouterr().err


def test_every_subject_has_a_name_of_its_own():
    labels = [subject.label for subject in all_subjects()]
    assert len(set(labels)) == len(labels)
    assert {subject.colour for subject in all_subjects()} == {"async", "sync"}


def test_memory_is_measured_from_the_command_line(tmp_path, capsys):
    main(["--only", "memory", "--quick", "--json", str(tmp_path / "out.json"), "--plots", str(tmp_path)])
    assert "memory async" in capsys.readouterr().out
    rows = json.loads((tmp_path / "out.json").read_text("utf-8"))["benchmarks"]["memory"]["rows"]
    assert [row["subject"] for row in rows] == ["memory async", "memory sync"]
    assert all(row["ratio"] > 1 for row in rows)
