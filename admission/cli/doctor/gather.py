"""Gathers the facts: asks the provider twice, and the server that the environment names."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from admission import environment
from admission.cli.doctor.facts import Facts, ProviderFacts, ReadingFacts
from admission.cli.text import hide
from admission.errors import AdmissionError, ConfigurationError
from admission.ledger.redis.ledger import RedisLedger
from admission.ledger.redis.probe import probe

if TYPE_CHECKING:
    from admission.ledger.redis.facts import ServerFacts

APART = 1.0
"""Seconds from one reading to the next."""
PACKAGES = {
    "admission": "admission",
    "redis-py": "redis",
    "hiredis": "hiredis",
    "httpx": "httpx",
    "tenacity": "tenacity",
}


def gather() -> Facts:
    """Ask everybody."""
    key = os.environ.get("PURETALK_API_KEY", "")
    named = os.environ.get("ADMISSION_ACCOUNT", "")
    provider = _ask_provider() if key else None
    account = named or (provider.account if provider else "")
    server, fault = _ask_server(os.environ.get("ADMISSION_REDIS_URL", ""), account)
    return Facts(
        has_key=bool(key),
        has_memory=os.environ.get("ADMISSION_LEDGER") == "memory",
        account=account,
        is_named=bool(named),
        provider=provider,
        server=server,
        url_fault=fault,
        versions=versions(),
    )


def _ask_provider() -> ProviderFacts:
    base_url = os.environ.get("PURETALK_BASE_URL")
    try:
        source = environment.source()
    except ConfigurationError as error:
        return ProviderFacts(hide(base_url or ""), fault=hide(str(error)), is_final=True)
    where = hide(base_url or "https://api.puretalk.ai/api")
    readings: list[ReadingFacts] = []
    try:
        for number in range(2):
            time.sleep(APART if number else 0)
            begun = time.perf_counter()
            usage = source.fetch()
            readings.append(ReadingFacts(time.perf_counter() - begun, usage.limit, usage.count, usage.timestamp))
    except AdmissionError as error:
        is_final = isinstance(error, ConfigurationError)
        status = getattr(error, "status", None)
        return ProviderFacts(where, source.account, tuple(readings), hide(str(error)), is_final, status)
    return ProviderFacts(where, source.account, tuple(readings))


def _ask_server(url: str, account: str) -> tuple[ServerFacts | None, str]:
    if not url:
        return None, ""
    try:
        ledger = RedisLedger(url)
    except ConfigurationError as error:
        return None, hide(str(error))
    return probe(ledger, account), ""


def versions() -> dict[str, str]:
    """Return what is installed, and in which version."""
    found = {"python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found
