"""A dataset folder: coordinates and pictures, and never class numbers.

Read `manifest.py` first: `read_manifest` gives all photographs, `read_located` those with coordinates. `images.py` finds
pictures in files or shards, `groups.py` says which photographs must stay in one split (by pairs from `nearby.py`),
`exif.py` and `metadata_location.py` read what a picture file says of its place, `country_names.py` matches names of
countries, `features.py` keeps features that were computed once, by the keys of `picture_keys.py`.
"""
