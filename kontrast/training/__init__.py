"""Training loop and step, precision, memory, launcher and health checks."""
