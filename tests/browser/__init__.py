"""The dashboard's page in a Chromium; `python -m tests.browser FILE.png` takes the docs' picture of it."""
