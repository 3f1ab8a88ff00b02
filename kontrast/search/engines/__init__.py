"""Vector indexes: one engine per file."""
