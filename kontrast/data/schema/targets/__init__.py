"""What training may learn from: labels, numbers, groups, times, soft labels."""
