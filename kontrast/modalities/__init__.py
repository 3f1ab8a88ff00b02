"""Kinds of data: how cells of a field are read, packed, batched, augmented and shown."""
