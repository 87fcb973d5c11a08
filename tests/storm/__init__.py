"""Callers that are interrupted at every moment there is: cancelled, or hit by an exception that a signal raises."""
