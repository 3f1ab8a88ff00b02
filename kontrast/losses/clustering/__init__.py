"""Losses that compare cluster assignments of views."""
