"""Images: reading, normalisation, augmentations."""
