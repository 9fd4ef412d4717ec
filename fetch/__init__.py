"""From the world to a dataset folder: sources, filters, splits."""
