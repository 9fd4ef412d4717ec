"""The map under the cells: coast, borders, names of countries and large cities, small enough to lie in every page.

Read `packing` (what the shipped file holds), `regions` (first-level regions of a small area, another file), `shapes`, `make` and
`make_regions` (how they are computed from Natural Earth), then `drawing` (pictures); pages draw it by `viz/web/base_map.js`.
"""
