"""What operators are shown of an account: the same on the command line, on a watched terminal, and on a page."""
