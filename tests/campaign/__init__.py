"""Fleets of real processes on real Redis servers, and what is done to them; the provider's own truth is the judge."""
