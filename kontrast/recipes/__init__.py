"""Recipes: published methods as experiments, one per file."""
