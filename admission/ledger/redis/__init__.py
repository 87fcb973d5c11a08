"""The ledger on Redis: the one folder that knows redis-py."""

from admission.ledger.redis.ledger import RedisLedger

__all__ = ["RedisLedger"]
