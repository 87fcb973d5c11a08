"""The production code of a whole fleet on virtual time, with a seeded scheduler, faults, and the truth beside it."""
