"""Training steps (methods), one per file."""
