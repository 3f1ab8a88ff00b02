"""Batched augmentations: what is done to all rows of a batch at once, each row from its own key."""
