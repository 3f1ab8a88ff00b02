"""Texts: reading, vocabularies, deletion of tokens."""
