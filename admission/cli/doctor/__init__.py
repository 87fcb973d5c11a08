"""`admission doctor`: what is wrong, and the mend."""
