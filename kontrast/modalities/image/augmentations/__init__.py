"""Augmentations of whole batches, each row by its own random stream."""
