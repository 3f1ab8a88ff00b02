"""Heads, proxies, prototypes, memories: what methods are built of besides encoders."""
