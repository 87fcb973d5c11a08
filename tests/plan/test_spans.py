"""How long calls last, and Erlang's formula beside them."""

import random
from dataclasses import replace

import pytest

from admission.cli.plan.erlang import wait_p95, waiting
from admission.cli.plan.spans import USUAL, Mix, Rests, Span


@pytest.mark.parametrize("text", ["60", "20-40", "75~300", "0-3600", "0.5-2"])
def test_a_span_is_written_as_it_was_read_and_has_the_mean_of_what_is_drawn(text):
    span, dice = Span.parse(text), random.Random(1)
    assert span.text() == text
    drawn = [span.draw(dice) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(span.mean(), rel=0.05)
    assert max(drawn) <= 3600


def test_the_numbers_of_a_lognormal_span_are_its_median_and_its_95th_percentile():
    dice = random.Random(1)
    drawn = sorted(Span.parse("75~300").draw(dice) for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(75, rel=0.05)
    assert drawn[19_000] == pytest.approx(300, rel=0.1)


@pytest.mark.parametrize("text", ["", "a", "0", "-5", "40-20", "20-", "0~9", "300~75", "3601", "nan", "1-2-3", "inf"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError, match="."):
        Span.parse(text)


def test_calls_of_a_mix_have_its_mean():
    mix, dice = Mix(), random.Random(1)
    drawn = [mix.draw(dice) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mix.mean(), rel=0.05)


def test_what_has_no_share_does_not_happen():
    only_busy = Mix(tuple(replace(one, share=one.name == "busy") for one in USUAL))
    dice = random.Random(1)
    assert max(only_busy.draw(dice) for _ in range(500)) <= 2


def test_a_call_that_is_met_goes_on_for_half_its_length_and_long_ones_are_met_more_often():
    rests, dice = Rests(Span.parse("60-60"), "a"), random.Random(1)
    rest = [rests.draw(dice) for _ in range(5_000)]
    assert sum(rest) / len(rest) == pytest.approx(30, rel=0.05)
    # Exponential calls go on as if they had just begun.
    rests = Rests(Span.parse("60"), "a")
    rest = [rests.draw(dice) for _ in range(5_000)]
    assert sum(rest) / len(rest) == pytest.approx(60, rel=0.1)


@pytest.mark.parametrize(("lines", "load", "share"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (10, 8.0, 0.409), (5, 5.0, 1.0)])
def test_erlang_c(lines, load, share):
    assert waiting(lines, load) == pytest.approx(share, abs=0.001)


def test_the_wait_by_erlang_s_formula():
    assert wait_p95(20, 20, 60) is None
    assert wait_p95(2000, 100, 60) == 0
    # One line that is half full: waits are longer than t with the chance 0.5 exp(-t / 120).
    assert wait_p95(1, 0.5, 60) == pytest.approx(276.3, abs=0.1)
