"""Levels of the grid that have a meaning of their own; no numpy, so that configs may ask."""

TABLE_LEVEL = 8
"""Level of all tables of the world: land and countries, the folders of pictures, the cells that Mapillary fills."""
