"""The app answers what the command answers, says that it is a hypothesis, listens on this machine, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import infer
from infer.__main__ import predict
from infer.config import InferConfig
from infer.prepared import Options
from infer.serve.answers import Answers
from infer.serve.asked import asked_on_the_page
from infer.serve.config import AppConfig
from infer.serve.photographs import Photographs
from plumbing.config import parse
from tests.served import ROOT, comparable, served, wait_until
from viz.maps.prediction import prediction_html, prediction_png


@pytest.fixture(scope="module")
def photo(tiny):
    return next(tiny.glob("images/**/lima-9.jpg"))


def of_the_command(photo, run, out):
    predict(InferConfig(photos=(photo,), run=run, out=out, workers=0, device="cpu", maps=False))
    (record,) = json.loads((out / "predictions.json").read_text())
    return comparable(record)


def test_the_page_holds_the_answer_of_the_command(photo, tiny_run, tmp_path):
    options = Options.of(AppConfig(run=tiny_run, device="cpu"))
    prediction = Photographs(infer.load(tiny_run, "cpu"), options).one(photo, options)
    assert prediction.input == "lima-9.jpg"
    assert comparable(json.loads(json.dumps(prediction.to_dict()))) == of_the_command(photo, tiny_run, tmp_path)
    page = prediction_html(prediction)
    assert "hypothesis, not proof" in page.lower()
    assert prediction.finest.best.id in page


def test_a_file_that_is_not_a_photograph_is_refused_by_its_name_alone(tiny_run, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(
        ValueError, match=r"^text\.jpg cannot be read as a photograph \(text\.jpg: not a picture"
    ) as refusal:
        Photographs(infer.load(tiny_run, "cpu"), Options()).one(tmp_path / "text.jpg", Options())
    assert str(tmp_path) not in str(refusal.value)


def test_a_folder_that_is_not_a_run_is_refused_before_anything_heavy_is_imported(tmp_path):
    for name in ("gradio", "torch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('{name} was imported')")
    command = [sys.executable, "-m", "infer", "serve", "--run", str(tmp_path / "nowhere")]
    paths = os.pathsep.join((str(tmp_path), str(ROOT)))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'nowhere'} is not a run folder, it has no run.json")


def test_a_page_in_a_frame_cannot_leave_it():
    pytest.importorskip("gradio", reason="gradio, which is optional, is not installed")
    from infer.serve.app import framed

    inside = framed('<p title="a">"</iframe><script>x</script>')
    assert inside.count("</iframe>") == 1
    assert "<script>" not in inside
    assert 'sandbox="allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"' in inside


def test_it_listens_on_this_machine_alone_unless_told_otherwise(tiny_run):
    assert AppConfig(run=tiny_run).host == "127.0.0.1"
    with pytest.raises(ValueError, match="--port is 1 to 65535"):
        AppConfig(run=tiny_run, port=0)


def test_without_gradio_one_line_says_what_to_install(tiny_run):
    code = (
        "import sys; sys.modules['gradio'] = None; sys.argv = ['infer', 'serve', '--run', sys.argv[1]];"
        "import runpy; runpy.run_module('infer', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny_run)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("needs gradio, which is optional: pip install gradio")


def test_without_mcp_one_line_says_what_to_install(tiny_run):
    pytest.importorskip("gradio", reason="gradio, which is optional, is not installed")
    code = (
        "import sys; sys.modules['mcp'] = None; sys.argv = ['infer', 'serve', '--mcp', '--run', sys.argv[1]];"
        "import runpy; runpy.run_module('infer', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny_run)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'needs the package mcp, which is optional: pip install "gradio[mcp]"' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("flag", [["--blind"], ["--photos", "5"], ["--table", "t.csv"], ["--seed", "1"]])
def test_flags_of_the_game_are_refused_without_one(flag):
    with pytest.raises(ValueError, match=f"{flag[0]}.* has no effect without --play"):
        parse(AppConfig, "python -m infer serve", ["--run", "r", *flag])


def test_the_form_is_read_as_options(tmp_path):
    area = str(tmp_path / "area.geojson")
    asked = asked_on_the_page("Germany, FR; ", "47,5,55,16", area, "", ["0.9", "0.5"], 0.6, True, False)
    expected = {
        "within": ("Germany", "FR", "47,5,55,16", area),
        "coverage": (0.5, 0.9),
        "confidence": 0.6,
        "same_place": True,
    }
    assert asked == (expected, False)
    assert asked_on_the_page("", None, None, None, [], 0, False, True) == ({"coverage": (), "confidence": None}, True)
    with pytest.raises(ValueError, match="has no heat map"):
        asked_on_the_page("", "", None, "", [], 0, True, True)


def answers(run, folder):
    return Answers(Photographs(infer.load(run, "cpu"), Options()), prediction_html, prediction_png, folder)


def test_each_photograph_gets_its_four_files_and_what_cannot_be_read_is_named(photo, tiny_run, tmp_path):
    bad, same = tmp_path / "bad.jpg", tmp_path / "other" / photo.name
    bad.write_text("no picture")
    same.parent.mkdir()
    same.write_bytes(photo.read_bytes())
    made, refused = answers(tiny_run, tmp_path / "files").make([photo, bad, same], {})
    assert [one.name for one in made] == ["lima-9.jpg", "lima-9.jpg (2)"]
    assert [[path.name for path in one.files] for one in made] == [
        [f"{stem}.{suffix}" for suffix in ("json", "geojson", "html", "png")] for stem in ("lima-9", "lima-9-2")
    ]
    assert refused == [
        "bad.jpg cannot be read as a photograph (bad.jpg: not a picture that can be read (is it another kind of file?))"
    ]
    record = json.loads(made[0].files[0].read_text())
    assert (record["path"], record["input"]) == (None, "lima-9.jpg")
    assert json.loads(made[0].files[1].read_text())["type"] == "FeatureCollection"
    assert "hypothesis, not proof" in made[0].page.read_text().lower()
    assert made[0].files[3].read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match=r"bad\.jpg cannot be read"):
        answers(tiny_run, tmp_path / "none").make([bad], {})


def test_photographs_of_one_place_get_one_answer_without_folders(tiny, tiny_run, tmp_path):
    photos = sorted(tiny.glob("images/**/lima-*.jpg"))[:3]
    (made,), refused = answers(tiny_run, tmp_path).make(photos, {"same_place": True})
    assert (made.name, refused) == (f"{photos[0].name} and 2 more", [])
    assert str(tiny) not in json.dumps(made.record)
    assert [one["input"] for one in made.record["photographs"]] == [path.name for path in photos]


def test_a_name_with_markup_is_text_among_the_thumbnails(photo, tmp_path):
    pytest.importorskip("gradio", reason="gradio, which is optional, is not installed")
    from infer.serve.app import thumbnails

    named = tmp_path / "<script>alert(1)<%2Fscript>.jpg"
    named.write_bytes(photo.read_bytes())
    assert "&lt;script&gt;alert(1)" in thumbnails([str(named)])
    assert "<script" not in thumbnails([str(named)])


CLIENT = """
import json, sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
page, record = client.predict(handle_file(sys.argv[2]), api_name="/answer")
within = client.predict(handle_file(sys.argv[2]), "Peru", api_name="/locate")
print(json.dumps([str(page), record, within]))
"""


@pytest.mark.slow
def test_the_api_answers_as_the_command_does(app, photo, calibrated, tmp_path):
    # All that it says is where it listens: nothing advertises a public link.
    assert app.said == f"serving {calibrated} at {app.url}; Ctrl-C ends it\n"
    asked = [sys.executable, "-W", "ignore", "-c", CLIENT, app.url, str(photo)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path)
    page, record, within = json.loads(done.stdout.splitlines()[-1])
    assert "<iframe" in page
    assert comparable(record) == of_the_command(photo, calibrated, tmp_path / "out")
    assert within["prior"]["area"] == "within PE"


@pytest.mark.slow
def test_no_file_of_this_machine_is_answered_by_the_api(app, photo):
    def asked(path):
        data = {"data": [{"path": str(path), "meta": {"_type": "gradio.FileData"}}]}
        status, event = app.json("/gradio_api/call/answer", data)
        assert status == 200
        return app.ask(f"/gradio_api/call/answer/{event['event_id']}")[2]

    form = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        + photo.read_bytes()
        + b"\r\n--x--\r\n"
    )
    status, _, body = app.ask("/gradio_api/upload", form, Content_Type="multipart/form-data; boundary=x")
    assert status == 200
    (uploaded,) = json.loads(body)
    assert b"iframe" in asked(uploaded), "what was handed in is answered"
    answer = asked(photo)
    assert b"event: error" in answer
    assert b"iframe" not in answer


@pytest.mark.slow
def test_an_upload_to_the_page_is_limited_and_kept_in_its_own_folder(app):
    def form(content):
        return (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
            + content
            + b"\r\n--x--\r\n"
        )

    kind = {"Content_Type": "multipart/form-data; boundary=x"}
    assert app.ask("/gradio_api/upload", form(bytes(25 * 1024**2 + 1)), **kind)[0] == 413
    status, _, body = app.ask("/gradio_api/upload", form(b"small"), **kind)
    assert status == 200
    (path,) = json.loads(body)
    assert Path(path).is_relative_to(app.uploads)
    assert app.ask(f"/gradio_api/file={path}", Host="evil.example")[0] == 403


@pytest.mark.slow
def test_what_was_handed_in_is_gone_when_the_app_ends(tiny_run, photo, tmp_path):
    with served(tiny_run, tmp_path / "uploads") as running:
        form = (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
            + photo.read_bytes()
            + b"\r\n--x--\r\n"
        )
        assert running.ask("/gradio_api/upload", form, Content_Type="multipart/form-data; boundary=x")[0] == 200
        assert list(running.uploads.rglob("a.jpg"))
        running.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: running.process.poll() is not None)
        assert list(running.uploads.iterdir()) == []


@pytest.mark.slow
def test_a_port_that_is_taken_is_refused_with_one_line(app, tiny_run):
    argv = [sys.executable, "-m", "infer", "serve", "--run", str(tiny_run), "--port", str(app.port)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"cannot listen at 127.0.0.1:{app.port}" in done.stderr.splitlines()[-1]
    assert "choose another --port" in done.stderr.splitlines()[-1]
