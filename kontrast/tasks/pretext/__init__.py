"""Tasks that need no other data: predict what was done to a view."""
