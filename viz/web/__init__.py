"""One map as one page: Leaflet, styles, scripts and data in a single file that loads nothing from a network."""
