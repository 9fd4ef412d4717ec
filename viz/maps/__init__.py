"""Maps that open from disk, offline: where a dataset has photographs, and where one photograph may have been taken.

Read `prediction` (a `Prediction` as a page), `png` (as a picture), `scene` (what both show, and from how near), `cells`
and `regions` (their outlines), `panel` and `wording` (what is said beside the map), `explanation` (heat map, similar
photographs), then `coverage` and `survey` (of a dataset), `geodesic` and `raster` (lines and grids on flat maps).
"""
