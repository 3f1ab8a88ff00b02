"""Runs in their folders: train, resume, evaluate, search, compare, replay."""
