"""The training loop and its step: precision, memory, launcher, health."""
