"""The map under the cells: coast, borders, names of countries and large cities, small enough to lie in every page.

Read `packing` (what the shipped file holds), `make` (how it is computed from Natural Earth), then `drawing` (pictures); pages draw
it by `viz/web/base_map.js`.
"""
