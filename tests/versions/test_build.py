"""What is missing from a build, or too much in it, is told by name."""

from tests.versions.build import faults

KEPT = {
    ".ci/run": b"", "README.md": b"", "SECURITY.md": b"", "admission/__init__.py": b"", "admission/py.typed": b"",
    "admission/ledger/lua/ask.lua": b"-", "tests/test_one.py": b"",
}  # fmt: skip
SDIST = {**KEPT, "PKG-INFO": b"", ".gitignore": b""}
del SDIST[".ci/run"]
FACTS = {f"admission-1.dist-info/{name}": b"" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
WHEEL = {
    **{name: data for name, data in KEPT.items() if name.startswith("admission/")},
    **FACTS,
    "admission-1.dist-info/licenses/LICENSE": b"",
}


def without(files, name):
    return {other: data for other, data in files.items() if other != name}


def test_of_a_whole_build_there_is_nothing_to_say():
    assert faults(KEPT, SDIST, WHEEL) == []


def test_what_is_missing_is_named():
    assert faults(KEPT, without(SDIST, "SECURITY.md"), without(WHEEL, "admission/py.typed")) == [
        "the sdist lacks SECURITY.md",
        "the wheel lacks admission/py.typed",
    ]
    name = "admission-1.dist-info/licenses/LICENSE"
    assert faults(KEPT, SDIST, without(WHEEL, name)) == ["the wheel lacks its licenses/LICENSE"]


def test_what_is_too_much_is_named():
    assert faults(KEPT, {**SDIST, "notes.txt": b""}, {**WHEEL, "tests/test_one.py": b""}) == [
        "the sdist should not have notes.txt",
        "the wheel should not have tests/test_one.py",
    ]


def test_what_differs_is_named():
    other = {**WHEEL, "admission/ledger/lua/ask.lua": b"--"}
    assert faults(KEPT, SDIST, other) == ["the wheel has another admission/ledger/lua/ask.lua"]
