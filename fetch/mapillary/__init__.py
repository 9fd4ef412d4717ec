"""Pictures of Mapillary for every cell of the planet: survey, plan, run, fill, and what keeps the result true."""
