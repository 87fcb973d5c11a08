"""Take the docs' picture of the dashboard: `python -m tests.browser docs/images/dashboard.png [SECONDS]`."""

import sys

from tests.browser.stage import Dialers, chromium, stage, wait_for_history


def main() -> None:
    """Let a fleet work for a while, and take the picture."""
    path, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 58
    with stage() as at, chromium(width=1080, height=945) as context:
        page = context.pages[0]
        page.goto(at.url)
        with Dialers(at, 32, least=3, most=12, idle=4, apart=1):
            wait_for_history(at.dashboard, seconds)
            at.guard.pause("no agents", lane="bulk")
            page.wait_for_selector("#notes li:has-text('no agents')")
            page.screenshot(path=path)


if __name__ == "__main__":
    main()
