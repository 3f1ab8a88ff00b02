"""The run folder: written, resumed, compared, replayed, read."""
