"""Kernels: how similar two embeddings are."""
