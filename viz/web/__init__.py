"""viz/web."""
