"""Adapters: small trainable parts beside the frozen layers of a pretrained encoder."""
