"""Kinds of column: how cells are packed, drawn from other rows, and shown to an encoder."""
