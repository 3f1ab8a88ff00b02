"""The run folder: its files, its lock, and the catalogue of many."""
