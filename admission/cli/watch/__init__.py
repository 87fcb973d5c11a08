"""`admission watch`: the account, live on a terminal."""
