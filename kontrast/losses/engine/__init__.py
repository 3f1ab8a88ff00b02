"""Exact values and gradients of losses in bounded memory: tiles, symmetric sweeps, dense small batches."""
