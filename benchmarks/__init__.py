"""Figures, each printed by a command; quote ratios of one run only: machines differ, and so do hours of one machine."""
