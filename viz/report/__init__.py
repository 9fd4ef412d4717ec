"""viz/report."""
