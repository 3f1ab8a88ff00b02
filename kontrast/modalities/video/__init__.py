"""Videos: animated pictures, stacks, lists and folders of frames."""
