"""Graphs: nodes with features or labels, and edges between them; a row is a whole graph."""
