"""What is wrong with the data, before a run is spent on it: one examination a file."""
