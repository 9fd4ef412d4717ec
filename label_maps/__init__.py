"""From the coordinates of training photographs to classes: the hierarchy of a run, and which class a photograph has.

Read `build` (the command), `partitions` (from flags to cells), `labels` (photographs to classes), `files` and `run_folder` (what
stands on disk), then `folders` and `countries` (smaller commands).
"""
