"""What each column is, which rows train, and what training may learn from."""
