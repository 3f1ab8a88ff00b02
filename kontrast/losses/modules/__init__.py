"""The losses as torch modules, one a file."""
