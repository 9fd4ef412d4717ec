"""The report of a run as one page that opens offline.

Read `page`, its order; `files`, what it reads; `training` and `line_chart`, curves; `quality`, `confidence` and
`classes`, evaluations; `maps`; `parts`, the HTML that all of them share.
"""
