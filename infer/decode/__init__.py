"""infer/decode."""
