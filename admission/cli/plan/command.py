"""`plan`, from its case to its exit code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from admission.cli import exits
from admission.cli.drawing import check_writable
from admission.cli.text import write
from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from admission.cli.plan.case import Case


class Work(NamedTuple):
    """How a case is simulated.

    Attributes:
        seed: Of all chance.
        effort: How much work the answer may take, 1 for a few seconds.
        jobs: Processes that share it.
    """

    seed: int
    effort: float
    jobs: int


def plan(case: Case, work: Work, *, wait: float, risk: float, as_json: bool, plot: Path | None) -> int:
    """Simulate a case, show what came of it, and return the exit code.

    Args:
        case: The account and the fleet.
        work: How it is simulated.
        wait: Seconds that 95 % of the callers may wait where a load counts as carried.
        risk: Starts with no line free that are accepted, per thousand.
        as_json: Whether the answer is one JSON object.
        plot: Where to draw it; `None` for nowhere.
    """
    _check_extra()
    # Only now: this needs the extra, or is of no use to the other commands.
    from admission.cli.plan.bench import Bench  # noqa: PLC0415
    from admission.cli.plan.plot import svg  # noqa: PLC0415
    from admission.cli.plan.report import result, show  # noqa: PLC0415
    from admission.cli.plan.study import study  # noqa: PLC0415

    if plot is not None:
        check_writable(plot)
    with Bench(*work).open() as bench:
        found = study(case, wait, bench)
    if as_json:
        write(json.dumps(result(found, risk, work.seed)))
    else:
        show(found, risk, work.seed, sys.stdout)
    if plot is not None:
        plot.write_text(svg(found), "utf-8")
    return exits.OK


def _check_extra() -> None:
    try:
        import rich  # noqa: F401, PLC0415 - only to know whether it is there
    except ImportError as error:
        raise ConfigurationError("plan needs rich: install admission[cli]") from error
