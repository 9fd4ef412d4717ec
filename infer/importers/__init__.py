"""infer/importers."""
