"""Each figure of a report as a PNG."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.test_viz_report import run
from tests.test_viz_report_answers import answer
from viz.config import ReportConfig
from viz.report.confusion import Matrix
from viz.report.files import read_files
from viz.report.line_chart import Line, Panel
from viz.report.page import write_report
from viz.report.pictures import figures, matrix_png, panel_png
from viz.web.page import colours

__all__ = ["run"]


def pixels(png):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


def share(picture, name):
    wanted = [int(colours()[name][at : at + 2], 16) for at in (1, 3, 5)]
    return (np.abs(picture.astype(int) - wanted).max(axis=-1) <= 8).mean()


def test_every_figure_is_written_under_its_title_and_opens(run, tiny, tmp_path):
    answer(run, tiny, np.linspace(0.1, 30, 12))
    write_report(ReportConfig(run, tmp_path / "a.html", data=tiny, png=tmp_path / "png"))
    names = {path.name for path in (tmp_path / "png").iterdir()}
    assert names >= {
        "best-photographs.png",
        "joint-loss.png",
        "median-error-by-country-test-split.png",
        "share-of-answers-within-a-distance-test-split.png",
        "training-photographs-of-a-class.png",
        "worst-photographs.png",
    }
    assert len(names) == len(list(figures(read_files(run), {"Best": [], "Typical": [], "Worst": []}, None)))
    for name in names:
        with Image.open(tmp_path / "png" / name) as picture:
            assert min(picture.size) > 300, name
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 9, name


def test_a_panel_is_drawn_in_the_colours_of_its_lines_and_the_same_twice():
    lines = [
        Line("a", "series-1", [(0, 0), (1, 1)], whiskers=[(0, 0.2), (0.8, 1)]),
        Line("b", "series-2", [(0, 1), (1, 0)]),
    ]
    panel = Panel("Title $x$", "x", lines, (0, 1), (0, 1), "{:g}".format, "{:g}".format)
    png = panel_png(panel)
    assert share(pixels(png), "series-1") > 0.001
    assert share(pixels(png), "series-2") > 0.001
    assert panel_png(panel) == png


def test_a_matrix_is_darkest_where_all_photographs_of_a_class_are():
    shown = pixels(matrix_png(Matrix(["a", "b"], [[9, 0], [0, 9]], 0), "L1"))
    assert share(shown, "series-1") > 0.001
    assert share(pixels(matrix_png(Matrix(["a", "b"], [[5, 5], [5, 5]], 0), "L1")), "series-1") < 0.001


def test_pictures_go_into_a_folder(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"--png is a folder for pictures, and .* is a file"):
        ReportConfig(run, tmp_path / "a.html", png=tmp_path / "file")
