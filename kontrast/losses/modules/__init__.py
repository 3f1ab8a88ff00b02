"""Losses as torch modules (`kt.losses`), one per file."""
