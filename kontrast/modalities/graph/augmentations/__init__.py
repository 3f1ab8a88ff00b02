"""Changes of graphs, one per file."""
