"""The page in the browser answers what the command answers, says that it is a hypothesis, and listens on this machine."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import infer
from infer.__main__ import predict
from infer.config import AppConfig, InferConfig
from infer.prepared import Options
from infer.serve import answered, framed
from viz.maps.prediction import prediction_html

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def photo(tiny):
    return next(tiny.glob("images/**/lima-9.jpg"))


def of_the_command(photo, run, out):
    predict(InferConfig(photos=(photo,), run=run, out=out, workers=0, device="cpu", maps=False))
    (record,) = json.loads((out / "predictions.json").read_text())
    return without_times(record)


def without_times(record):
    provenance = {key: value for key, value in record["provenance"].items() if key != "answered_at_utc"}
    return {**record, "path": None, "provenance": provenance}


def test_the_page_holds_the_answer_of_the_command(photo, tiny_run, tmp_path):
    options = Options.of(AppConfig(run=tiny_run, device="cpu"))
    prediction = answered(photo, infer.load(tiny_run, "cpu"), options)
    assert prediction.input == "lima-9.jpg"
    assert without_times(json.loads(json.dumps(prediction.to_dict()))) == of_the_command(photo, tiny_run, tmp_path)
    page = prediction_html(prediction)
    assert "hypothesis, not proof" in page.lower()
    assert prediction.finest.best.id in page


def test_a_file_that_is_not_a_photograph_is_refused_by_its_name_alone(tiny_run, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(
        ValueError, match=r"^text\.jpg cannot be read as a photograph \(text\.jpg: not a picture"
    ) as refusal:
        answered(tmp_path / "text.jpg", infer.load(tiny_run, "cpu"), Options())
    assert str(tmp_path) not in str(refusal.value)


def test_a_page_in_a_frame_cannot_leave_it():
    inside = framed('<p title="a">"</iframe><script>x</script>')
    assert inside.count("</iframe>") == 1
    assert "<script>" not in inside
    assert 'sandbox="allow-scripts allow-popups allow-popups-to-escape-sandbox"' in inside


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


CLIENT = """
import json, sys
from gradio_client import Client, handle_file
page, record = Client(sys.argv[1], verbose=False).predict(handle_file(sys.argv[2]), api_name="/answer")
print(json.dumps([str(page), record]))
"""


@pytest.mark.slow
def test_the_api_of_the_command_answers_over_loopback(photo, tiny_run, tmp_path):
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio, which is optional, is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "infer", "serve", "--run", str(tiny_run), "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path / "uploads"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            # All that it says is where it listens: nothing advertises a public link.
            first = next(server.stdout)
            assert first == f"serving {tiny_run} at http://127.0.0.1:{port}; Ctrl-C ends it\n"
            asked = [sys.executable, "-W", "ignore", "-c", CLIENT, f"http://127.0.0.1:{port}", str(photo)]
            done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path)
        finally:
            server.terminate()
    page, record = json.loads(done.stdout.splitlines()[-1])
    assert "<iframe" in page
    assert without_times(record) == of_the_command(photo, tiny_run, tmp_path / "out")
