"""infer/evaluate."""
