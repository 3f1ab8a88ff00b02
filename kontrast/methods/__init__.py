"""Training steps: one per file."""
