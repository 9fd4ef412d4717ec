"""infer/export."""
