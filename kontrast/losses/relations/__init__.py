"""Relations: which rows are positives of an anchor, and which are its candidates."""
