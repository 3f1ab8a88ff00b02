"""Mixings of rows, for any kind of data whose views are tensors of numbers."""
