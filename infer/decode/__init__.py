"""From logits to an answer: one probability for every cell, a point, and regions with a stated coverage.

Read `posterior`, which combines the levels; `point`; `prior`, for what is known beside the photograph; `multi_image`, for several
photographs of one place. Then the regions: `raster`, the cells of land; `density` and `kernels`, a smooth density over them;
`region`, conformity scores and thresholds; `conformal`, the calibration of a run; `class_sets`, prediction sets of
classes; `countries`, which of them hold a region.
"""
