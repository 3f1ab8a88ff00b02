"""Augmentations of whole batches of series, each row by its own random stream."""
