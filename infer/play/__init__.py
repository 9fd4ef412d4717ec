"""A human baseline: people and a network name the country of the same photographs.

Source of the comparison: Schlumberger, Stöckli and Sigrist 2024, "Lost & Found: Predicting Locations from Images", whose players
typed the five most likely countries of downscaled pictures. Here both answer the same photographs, with intervals and a paired
test.

Read `countries` (what was typed), `table` (the answers, one row for each photograph and player), `game` (which photographs, and how
they are shown), `score` (top-1, top-3, top-5 and McNemar's test), then `terminal`, the command.
"""
