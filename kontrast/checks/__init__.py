"""Checks that a loss is right: against slow loops, autograd and several processes."""
