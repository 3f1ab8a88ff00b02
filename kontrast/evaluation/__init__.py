"""Evaluators, one per file: embedding tables in, named numbers with intervals out."""
