"""The report of a run as one page that opens offline, and its figures as PNG.

Read `page`, its order; `files`, what it reads; `header`, the verdict; `answers`, with `errors`, `photographs` and `comparison`, the
answers one by one; `quality`, `confidence`, `classes` and `confusion`, evaluations; `maps` and `balance`, where it learned;
`training` and `line_chart`, curves; `terms` and `parts`, the HTML that all of them share; `pictures`, the PNGs.
"""
