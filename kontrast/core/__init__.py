"""What every room builds on: embeddings, experiments, the registry, ranks, random streams, safe files."""
