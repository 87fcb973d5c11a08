"""What the doctor looks at, gathered beforehand. Values only, and no secret among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from admission.ledger.redis.facts import ServerFacts


@dataclass(frozen=True, slots=True)
class ReadingFacts:
    """One reading of the provider: how many seconds it took, and what it said."""

    seconds: float
    limit: int
    count: int
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What the provider answered.

    Attributes:
        where: Its address.
        account: The account's name that comes of address and key.
        readings: Two, a second apart, if they could be had.
        fault: Why one could not; else empty.
        is_final: Whether trying again cannot help: the key or the address is wrong.
        status: The HTTP status of the fault, if there was one.
    """

    where: str
    account: str = ""
    readings: tuple[ReadingFacts, ...] = ()
    fault: str = ""
    is_final: bool = False
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything.

    Attributes:
        has_key: Whether there is an API key.
        has_memory: Whether the environment asks for a ledger in memory.
        account: The account's name in the ledger, empty where it is not known.
        is_named: Whether the environment names the account.
        provider: What the provider answered; `None` where it was not asked.
        server: What the Redis server says; `None` where none is named.
        url_fault: Why the Redis URL cannot be used; else empty.
        versions: Name to version of what is installed.
    """

    has_key: bool = True
    has_memory: bool = False
    account: str = ""
    is_named: bool = False
    provider: ProviderFacts | None = None
    server: ServerFacts | None = None
    url_fault: str = ""
    versions: dict[str, str] = field(default_factory=dict)
