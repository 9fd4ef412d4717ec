"""viz/maps."""
