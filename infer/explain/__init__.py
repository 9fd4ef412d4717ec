"""infer/explain."""
