"""Tables of photographs as people have them, as one table: the only reader of `fetch import` and of `infer predict`.

In this order: `headings` (which column is what), `code_pages`, `rows`, `text` (CSV and its relatives), `documents`
(JSON, GeoJSON, KML), `binary` (Parquet, workbooks), `axes` (units, hemispheres and gaps of coordinates), `hints` (what to
do where there are none), `photo_table` (any of them, with our columns), `fields` (what goes into a manifest), `times`.
"""
