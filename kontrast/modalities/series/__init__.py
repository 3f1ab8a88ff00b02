"""Time series: reading, normalisation, changes for training."""
