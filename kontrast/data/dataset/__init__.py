"""Rows packed once, cached, and read as batches of views."""
