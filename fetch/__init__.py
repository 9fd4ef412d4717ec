"""From the world to a dataset folder: sources of photographs, what is left out of them, splits, shards.

Every source ends in `ingest.py`, which stores, measures, splits and lists what a source offers as `Candidate`s: read it
first, then one source (`sources/`, `demo/` or `mapillary/`). `client.py` is the one HTTP client below all downloads.
`quality.py` measures pictures, `thin.py` leaves out what is bad or crowded, `splits.py` keeps leakage groups together,
`balance.py` and `subset.py` make lists of photographs, `pack.py` writes shards, `verify.py` holds a dataset against its
manifest; `rejected.py` and `dataset_counts.py` say what was left out and what is there.
"""
