"""Pictures of Mapillary for every cell of the planet, resumable at any moment.

Read `cli.py` (the stages) first, then the stages in their order: `survey.py`, `plan.py`, `run.py`, `fill.py`, `export.py`.
All of them keep what they know in `state.py`. `rules.py` and `verdicts.py` decide about candidates from `facts.py`,
`pictures.py` stores pixels. Requests go through `transport.py` to `api.py` (the graph, whose answers `answers.py` reads) and
`tiles.py`; `sdk.py` is the only user of Mapillary's SDK. `budget.py` is --dry-run, `maintenance.py` has status, verify and
recheck, `probe.py` asks the live service what is not documented.
"""
