"""Kernels: similarity of two embeddings."""
