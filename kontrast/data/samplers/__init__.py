"""Samplers: which rows each step sees, one per file."""
