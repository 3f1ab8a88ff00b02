"""Tasks: training objectives of all kinds, one per file."""
