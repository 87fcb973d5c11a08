"""Mutation testing: small faults are put into the ledger and the core, one at a time, and the tests must find them."""
