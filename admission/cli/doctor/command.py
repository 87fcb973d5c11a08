"""`doctor`, from its arguments to its exit code."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from admission.cli import exits
from admission.cli.arguments import USUAL, add
from admission.cli.doctor.checks import check
from admission.cli.doctor.findings import LEVELS, Finding, code_of
from admission.cli.doctor.gather import gather
from admission.cli.text import hide, log_to_stderr, write

if TYPE_CHECKING:
    from admission.cli.arguments import Commands


def add_doctor(commands: Commands) -> None:
    """Add `doctor`."""
    parser = add(
        commands,
        "doctor",
        lambda chosen: doctor(as_json=chosen.json),
        summary="look for what is wrong, and say the mend",
        description="Ask the provider and the Redis of the environment, and say what is wrong and what to do: the key, "
        "the\nanswer, the server, its rights, memory and clock, the fleet's settings, a key that was rotated. `error`: "
        "it\ndoes not work like that (exit code 78 when somebody must change something, else 69); `warn` and `note`: it"
        "\nworks (0). The provider is read twice, and no booking is changed.",
        codes=exits.epilog(*USUAL),
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def doctor(*, as_json: bool) -> int:
    """Gather the facts, check them, and say what was found."""
    log_to_stderr(on=False)
    findings = check(gather())
    code = code_of(findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        write(hide(json.dumps({"ok": code == exits.OK, "findings": found})))
    else:
        write(hide(_text(findings)))
    return code


def _text(findings: list[Finding]) -> str:
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<5}  {finding.topic:<{width}}  {' '.join(finding.text.split())}")
        if finding.mend:
            lines.append(f"{'':<5}  {'':<{width}}  -> {finding.mend}")
    numbers = Counter(finding.level for finding in findings)
    told = ", ".join(f"{numbers[level]} {level}" for level in reversed(LEVELS) if numbers[level])
    return "\n".join([*lines, told])
