"""Models of others as runs: `geoguessr2` (the older project), `geoclip`, `osv5m`, and `clip_zero_shot` for StreetCLIP or any CLIP.

Read `config` (the flags), `published` (what such a run records, and how its cells and rows are made), `clip_files` (where the
vision tower comes from), `geoguessr2_files` (the older project's files), then the module of a model.
"""
