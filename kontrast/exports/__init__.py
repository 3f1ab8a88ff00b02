"""What leaves kontrast: a run in the forms that other libraries read, one target a file; and smaller embeddings."""
