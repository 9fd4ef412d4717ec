"""fetch/sources."""
