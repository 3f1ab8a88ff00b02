"""A view becomes features: one architecture per file."""
