"""kontrast learns embeddings by contrast from heterogeneous data, and makes them useful."""
