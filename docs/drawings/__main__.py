"""Draw everything anew: `python -m docs.drawings`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docs.drawings import failures, parts, plots, rule, sequences, states

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[1] / "images" / "explanation"
PAGES = Path(__file__).parents[1]
DRAWINGS: dict[str, Callable[[], str]] = {
    "ways": plots.ways,
    "waits": plots.waits,
    "lanes": plots.lanes,
    "race": sequences.race,
    "offer": sequences.offer,
    "life": rule.life,
    "hand-off": rule.hand_off,
    "states": states.draw,
    "overlap": rule.overlap,
    "crash": rule.crash,
    "lost": failures.lost,
    "outage": failures.outage,
    "parts": parts.draw,
}
"""By file name, what draws it."""


def main() -> None:
    """Write each drawing to its file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        (FOLDER / f"{name}.svg").write_text(draw(), "utf-8")


if __name__ == "__main__":
    main()
