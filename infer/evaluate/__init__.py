"""Evaluation of a run on a split: accuracy, calibration and coverage, each with an interval that resamples groups.

Read `run`, which says what is measured; `measure`, the answers; `metrics`, distances and the cluster bootstrap; `calibration` and
`coverage`, whether confidence and regions hold; `classes` and `stated`, the same of photographs without coordinates;
`class_report`, `class_order` and `class_files`, precision, recall and confusions of each class; `photographs`, each answer;
`baselines` and `leakage`, what figures are to be compared with and what makes them lie; `report`, `verdict` and `benchmarks`, the
text.
"""
