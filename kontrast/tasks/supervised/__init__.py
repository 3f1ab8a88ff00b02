"""Tasks that learn from labels, numbers or scores of the rows."""
