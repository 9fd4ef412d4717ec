"""Photographs of one's own and published sets, as candidates for `fetch.ingest`.

Read `config.py` (what the commands take) and `imports.py` (the command) first, then `table.py` (rows to candidates),
`columns.py` (the layouts of tables that people have), `yfcc.py` (one more layout), `folder.py` (photographs with GPS in their
EXIF) and `downloads.py` (pictures at addresses). `osv5m.py` takes parts of OpenStreetView-5M through `hub.py`. `pull.py`
copies the photographs of a list from a dataset at another address.
"""
