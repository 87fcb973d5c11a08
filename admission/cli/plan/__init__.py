"""`admission plan`: an account simulated before anybody dials on it."""
