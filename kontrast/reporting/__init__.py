"""Presentation of a run: report page, drawings, terminal, and the contract of a logger."""
