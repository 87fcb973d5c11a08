"""One module for each task queue, with a decorator `admitted`; import the one that you use."""
