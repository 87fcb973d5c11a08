"""`admission demo`: a stand-in provider, processes of dialers, a live view, and a report."""
