"""Relations: positives and candidates of each anchor."""
