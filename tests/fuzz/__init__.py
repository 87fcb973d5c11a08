"""What comes from outside, made up by a fuzzer: the provider's answers, the ledger's replies, wake-up messages."""
