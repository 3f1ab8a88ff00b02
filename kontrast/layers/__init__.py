"""Network layers besides encoders: heads, proxies, prototypes, memories, temperatures."""
