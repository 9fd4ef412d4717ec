"""POST /locate: one photograph in, the answer of the command out; everything else is one clear line with a 4xx status."""

import json
import subprocess
import sys

import pytest

from infer.prepared import Options
from infer.serve.photographs import Photographs, named_areas, without_dashes
from infer.serve.query import changes_of
from tests.served import ROOT, comparable


@pytest.fixture(scope="module")
def photo(tiny):
    return next(tiny.glob("images/**/lima-9.jpg"))


@pytest.mark.slow
def test_the_bytes_of_a_photograph_are_answered_as_by_the_command(app, photo, calibrated, tmp_path):
    from infer.config import InferConfig
    from infer.predict import main

    main(InferConfig(photos=(photo,), run=calibrated, out=tmp_path, workers=0, device="cpu", maps=False))
    (expected,) = json.loads((tmp_path / "predictions.json").read_text())
    status, record = app.json("/locate", photo.read_bytes())
    assert status == 200
    assert comparable(record) == comparable(expected)


@pytest.mark.slow
def test_an_area_and_a_coverage_are_asked_by_the_address(app, photo):
    status, record = app.json("/locate?within=FR&within=-35,150,-33,152&coverage=0.9", photo.read_bytes())
    assert status == 200
    assert record["prior"]["area"] == "within FR -35,150,-33,152"
    assert [region["coverage"] for region in record["regions"]] in ([], [0.9])
    assert record["countries"][0]["code"] in ("FR", "AU")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "body", "status", "said"),
    [
        ("", b"", 400, "the body is empty"),
        ("", b"no picture", 422, "the bytes cannot be read as a photograph"),
        ("?radius=5", None, 400, "unknown parameter 'radius': there are within, exclude, coverage"),
        ("?confidence=high", None, 400, "confidence is a number such as 0.6, got 'high'"),
        ("?confidence=2", None, 400, "confidence is a probability between 0 and 1"),
        ("?confidence=0.5&confidence=0.6", None, 400, "confidence is given 2 times"),
        ("?within=Atlantis", None, 400, "'Atlantis' is not an area"),
        ("?within=/etc/passwd", None, 400, "'/etc/passwd' is not an area"),
        ("?within=BR", None, 400, "within BR"),
        ("?coarsest=L3", None, 400, "coarsest"),
    ],
)
def test_what_cannot_be_answered_is_one_line_of_json(app, photo, query, body, status, said):
    found, record = app.json(f"/locate{query}", photo.read_bytes() if body is None else body)
    assert (found, list(record)) == (status, ["error"])
    assert said in record["error"]
    assert "\n" not in record["error"]
    assert "--" not in record["error"]


@pytest.mark.slow
def test_whoever_opens_its_address_reads_what_it_is(app):
    status, record = app.json("/locate")
    assert status == 200
    assert "hypothesis, not proof" in record["what"].lower()
    assert record["example"] == f"curl --data-binary @photo.jpg 'http://127.0.0.1:{app.port}/locate?within=DE'"
    assert set(record["parameters"]) == {"within", "exclude", "coverage", "confidence", "coarsest", "places"}


@pytest.mark.slow
def test_other_methods_forms_hosts_origins_and_sizes_are_refused(app):
    status, headers, body = app.ask("/locate", b"x", "PUT")
    assert (status, headers["allow"]) == (405, "GET, HEAD, POST")
    assert "takes POST, got PUT" in json.loads(body)["error"]
    assert app.ask("/locate", b"x", Content_Type="multipart/form-data; boundary=x")[0] == 415
    assert app.ask("/locate", b"x", Host="evil.example")[0] == 403
    assert app.ask("/locate", b"x", Origin="http://evil.example")[0] == 403
    assert app.ask("/locate", bytes(25 * 1024**2 + 1))[0] == 413


@pytest.mark.slow
def test_a_picture_that_curl_has_changed_is_refused_with_the_flag_that_sends_it_whole(app, photo):
    torn = photo.read_bytes()[:20].replace(b"\xff\xd8", b"")
    status, record = app.json("/locate", torn, User_Agent="curl/8.5.0")
    assert status == 422
    assert (
        f"--data-binary does not: curl --data-binary @photo.jpg 'http://127.0.0.1:{app.port}/locate" in record["error"]
    )
    assert "curl" not in app.json("/locate", torn)[1]["error"]


@pytest.mark.slow
def test_the_example_client_prints_the_answer(app, photo, tmp_path):
    client = ROOT / "docs" / "examples" / "locate.py"
    argv = [sys.executable, "-I", "-S", str(client), str(photo), "--server", app.url, "--within", "PE"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.startswith("lima-9.jpg: Most likely Peru")
    (tmp_path / "text.jpg").write_text("no picture")
    refused = subprocess.run(
        [*argv[:4], "text.jpg", *argv[5:]], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("text.jpg: the bytes cannot be read as a photograph")


def test_an_area_of_a_request_is_never_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Peru").write_text("{}")
    for text in ("Peru", "../area.geojson", "area.geojson", "/vsicurl/http", "C:\\area", "a" * 201):
        with pytest.raises(ValueError, match="an area"):
            named_areas([text])
    assert named_areas(["Germany", " ", "Côte d'Ivoire", "भारत", "-10,110,-5,120"]) == (
        "Germany",
        "Côte d'Ivoire",
        "भारत",
        "-10,110,-5,120",
    )


def test_parameters_are_read_as_options():
    given = [("within", "DE"), ("exclude", "FR"), ("coverage", "0.5"), ("coverage", "0.9"), ("places", "unseen")]
    changes = changes_of(given)
    assert changes == {"within": ("DE",), "exclude": ("FR",), "coverage": (0.5, 0.9), "places": "unseen"}


def test_refusals_speak_the_words_of_a_request():
    assert (
        without_dashes("--same-place has no effect; the value of --within")
        == "same_place has no effect; the value of within"
    )


def test_a_request_changes_the_options_of_the_server_and_no_others(calibrated):
    import infer

    photographs = Photographs(infer.load(calibrated, "cpu"), Options(exclude=("FR",), coverage=(0.5,)))
    asked = photographs.asked({"confidence": 0.6})
    assert (asked.exclude, asked.coverage, asked.confidence) == (("FR",), (0.5,), 0.6)
    assert photographs.options.confidence is None
