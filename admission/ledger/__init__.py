"""The shared book: its rule in Python (`book`), the same in Lua (`lua/`), and what serves them."""
