"""What users may write stays as it is, unless somebody means to change it and says so."""

import difflib

import pytest

from tests.contract.public_api import TEXT, text


def test_what_users_may_write_is_as_it_was():
    kept, now = TEXT.read_text("utf-8"), text()
    if kept != now:
        rows = difflib.unified_diff(kept.splitlines(), now.splitlines(), "as it was", "as it is", lineterm="", n=2)
        pytest.fail(
            "what users may write has changed. If that is meant, tell it in CHANGELOG.md, in the users' words, and "
            "write the text anew with `python -m tests.contract.public_api`.\n\n" + "\n".join(rows),
            pytrace=False,
        )
