"""The examples of the docs, as real processes against the stand-in provider, before and after."""
