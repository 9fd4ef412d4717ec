"""From coordinates to classes: the dataset manifest, and the hierarchy built from it."""
