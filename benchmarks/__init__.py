"""Figures, each printed by a command. They are ratios within one run: machines differ, and so do hours of one machine."""
