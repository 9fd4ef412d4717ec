"""Pure geometry of the sphere, the quad grid, land and the hierarchy of cells."""
