"""Call admission for voice-AI dialers: never above the provider's limit, never idle below it."""

from admission.aguard import AsyncGuard
from admission.errors import (
    AdmissionError,
    CallRejected,
    Closed,
    ConfigurationError,
    LedgerUnavailable,
    NotPlaced,
    Paused,
    QueueFull,
    Refused,
    Saturated,
    Unavailable,
    UsageError,
    UsageUnavailable,
)
from admission.guard import Guard
from admission.ledger.memory import MemoryLedger
from admission.ledger.redis import RedisLedger
from admission.reservation import Reservation, current_reservation
from admission.sources.puretalk import PureTalk
from admission.values import Holder, Holders, Lane, LaneStatus, Policy, Status, Usage

__all__ = [
    "AdmissionError",
    "AsyncGuard",
    "CallRejected",
    "Closed",
    "ConfigurationError",
    "Guard",
    "Holder",
    "Holders",
    "Lane",
    "LaneStatus",
    "LedgerUnavailable",
    "MemoryLedger",
    "NotPlaced",
    "Paused",
    "Policy",
    "PureTalk",
    "QueueFull",
    "RedisLedger",
    "Refused",
    "Reservation",
    "Saturated",
    "Status",
    "Unavailable",
    "Usage",
    "UsageError",
    "UsageUnavailable",
    "current_reservation",
]
