"""Nearest neighbours among embeddings, with filters."""
