"""Named columns that stay where they are: Arrow and numpy, memory-mapped."""
