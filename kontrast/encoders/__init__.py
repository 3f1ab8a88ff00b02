"""Encoders from views to features, one architecture per file."""
