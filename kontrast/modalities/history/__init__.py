"""Sequences of items: histories of what a person bought, heard or read, changes for training."""
