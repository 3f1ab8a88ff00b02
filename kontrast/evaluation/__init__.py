"""Embedding tables to named numbers with intervals: one evaluator per file."""
