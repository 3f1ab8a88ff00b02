"""Kinds of models that teach: a run, a timm model, a transformers model."""
