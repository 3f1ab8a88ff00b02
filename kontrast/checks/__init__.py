"""Proofs that a loss is right: against slow loops and autograd on one process, and against one process on several."""
