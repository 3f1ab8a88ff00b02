"""Pieces of the report page."""
