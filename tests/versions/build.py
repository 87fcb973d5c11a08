"""Builds the sdist, and the wheel from the sdist, and says what in them is not as it should be."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("admission", "benchmarks", "docs", "tests")
OURS = {".ci", ".gitignore"}
"""What of the source tree, at its top, a user of the sdist has no use for; the build adds the list of ignored files."""
GENERATED = {".gitignore", "PKG-INFO"}
"""What an sdist has besides."""


class Built(NamedTuple):
    """What was built."""

    sdist: Path
    wheel: Path


def build(folder: Path) -> Built:
    """Build into a folder, with the hatchling that is installed."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the build failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Built(sdist, wheel)


def tree() -> dict[str, bytes]:
    """Return the files of the source tree by their paths: those that are kept, and new ones in its folders."""
    names = [*_listed("--cached"), *_listed("--others", "--exclude-standard", *FOLDERS)]
    paths = (ROOT / name for name in names)
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def _listed(*options: str) -> list[str]:
    command = ["git", "ls-files", "-z", *options]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in told.split("\0") if name]


def of_sdist(sdist: Path) -> dict[str, bytes]:
    """Return the files of an sdist, by their paths below its one folder."""
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def of_wheel(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel, by their paths."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def faults(kept: dict[str, bytes], sdist: dict[str, bytes], wheel: dict[str, bytes]) -> list[str]:
    """Return what an sdist and a wheel lack of the tree, what they have besides, and what differs."""
    package = {name: data for name, data in kept.items() if name.startswith("admission/")}
    whole = {name: data for name, data in kept.items() if name.partition("/")[0] not in OURS}
    code = {name: data for name, data in wheel.items() if ".dist-info/" not in name}
    found = [*_apart("sdist", sdist, whole, GENERATED), *_apart("wheel", code, package, set())]
    facts = {name.partition(".dist-info/")[2] for name in wheel if name not in code}
    wanted = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    return [*found, *(f"the wheel lacks its {name}" for name in sorted(wanted - facts))]


def _apart(where: str, has: dict[str, bytes], wanted: dict[str, bytes], besides: set[str]) -> list[str]:
    both = sorted(wanted.keys() & has.keys())
    return [
        *(f"the {where} lacks {name}" for name in sorted(wanted.keys() - has.keys())),
        *(f"the {where} should not have {name}" for name in sorted(has.keys() - wanted.keys() - besides)),
        *(f"the {where} has another {name}" for name in both if has[name] != wanted[name]),
    ]


def unpack_without_source(sdist: Path, folder: Path) -> None:
    """Unpack an sdist but for the package: whoever imports that there gets the installed one."""
    for name, data in of_sdist(sdist).items():
        if not name.startswith("admission/"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
