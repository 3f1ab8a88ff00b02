"""Trackers that record runs in other services, one per file."""
