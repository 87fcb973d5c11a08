"""The decisions, without I/O: what a process knows (`desk`), how a caller is admitted (`plans`), what an exit means."""
