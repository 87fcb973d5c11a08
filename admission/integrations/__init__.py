"""What fits a guard into other software, one module each; import the one that you use."""
