"""infer/network."""
