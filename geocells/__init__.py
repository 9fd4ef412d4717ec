"""Geometry of the sphere: no torch, no clock, arrays in and arrays out.

Read `sphere` (points, distances, areas, the GeoScore), `grid` (the quad grid), `outlines` (polygons on the sphere),
`hierarchy` (cells of all levels as one frozen object), `partitions/` (ways to cut the world), and `land` and
`natural_earth` (what is land, and whose).
"""
