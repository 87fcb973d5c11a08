"""The package as users get it: built, installed beside the supported versions, and tested without its source."""
