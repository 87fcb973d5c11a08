"""Figures, printed by `python -m benchmarks`; quote ratios of one run only: machines differ, and so do hours of one."""
