"""Every order of what can happen to a few calls: a search through all states of a small account."""
