"""`admission plan`: what it simulates, what it makes of that, and how it tells it."""
