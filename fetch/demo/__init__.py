"""fetch/demo."""
