"""Tasks that help another one: distillation, reconstruction, captions."""
