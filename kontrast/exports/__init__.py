"""Exports of runs to the formats of other libraries, and compressed embeddings."""
