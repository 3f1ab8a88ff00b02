"""Packs rows once, caches them, and reads them as batches of views."""
