"""Papers and studies as experiments: one per file."""
