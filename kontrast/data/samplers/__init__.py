"""Samplers: which rows each step sees, one rule per file."""
