"""Losses between two aligned views, without negatives."""
