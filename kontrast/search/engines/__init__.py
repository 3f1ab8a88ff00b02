"""Search engines; one engine per file."""
