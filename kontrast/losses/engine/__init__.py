"""The engine of contrastive losses: tiles, input checks, reduction and temperatures."""
