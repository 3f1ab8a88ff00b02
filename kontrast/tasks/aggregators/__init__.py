"""Aggregators: how several tasks become one gradient."""
