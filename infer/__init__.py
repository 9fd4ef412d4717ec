"""The network, from logits to a place, and how well that works."""
