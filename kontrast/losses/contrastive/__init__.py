"""Contrastive losses: each anchor against its candidates, through a softmax, a sigmoid or an order."""
