"""Sounds: clips of any length, rate and number of channels."""
