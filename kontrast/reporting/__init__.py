"""What people read of a run: the report page, drawings, the terminal, and the contract of a logger."""
