"""Trackers: runs as other services record them, one per file."""
