"""Tasks that learn from chosen and rejected answers."""
