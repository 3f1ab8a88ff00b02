"""From whatever a user points at to batches: sources, tables, schema, cached datasets, samplers."""
