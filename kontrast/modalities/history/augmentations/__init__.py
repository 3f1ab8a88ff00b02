"""Changes of sequences of items."""
