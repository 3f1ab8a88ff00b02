"""Nearest-neighbour search over embeddings, with filters on id, field, label and metadata."""
