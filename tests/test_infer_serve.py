"""The page in the browser answers what the command answers, says that it is a hypothesis, and listens on this machine."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from infer.config import AppConfig, InferConfig
from infer.model import load_model
from infer.predict import main as answer
from infer.serve import answer_page, framed

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photo(tiny):
    return next(tiny.glob("images/**/lima-9.jpg"))


def answered(photo, run, out):
    answer(InferConfig(photos=(photo,), run=run, out=out, workers=0, device="cpu", maps=False))
    (record,) = json.loads((out / "predictions.json").read_text())
    return {name: value for name, value in record.items() if name not in ("input", "audit")}


def test_the_page_holds_the_answer_of_the_command(photo, tiny_run, tmp_path):
    config = AppConfig(run=tiny_run, device="cpu")
    page, record = answer_page(photo, load_model(tiny_run, CPU), config)
    assert record.pop("input") == "lima-9.jpg"
    assert json.loads(json.dumps(record)) == answered(photo, tiny_run, tmp_path)
    assert "hypothesis, not proof" in page.lower()
    assert record["levels"][-1]["cells"][0]["id"] in page


def test_a_file_that_is_no_photograph_is_refused_by_its_name_alone(tiny_run, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"^text\.jpg cannot be read as a photograph$"):
        answer_page(tmp_path / "text.jpg", load_model(tiny_run, CPU), AppConfig(run=tiny_run, device="cpu"))


def test_a_page_in_a_frame_cannot_leave_it():
    inside = framed('<p title="a">"</iframe><script>x</script>')
    assert inside.count("</iframe>") == 1
    assert "<script>" not in inside
    assert 'sandbox="allow-scripts"' in inside


def test_it_listens_on_this_machine_alone_unless_told_otherwise(tiny_run):
    assert AppConfig(run=tiny_run).host == "127.0.0.1"
    with pytest.raises(ValueError, match="--port is 1 to 65535"):
        AppConfig(run=tiny_run, port=0)


def test_without_gradio_one_line_says_what_to_install(tiny_run):
    code = (
        "import sys; sys.modules['gradio'] = None; sys.argv = ['app', '--run', sys.argv[1]];"
        "import runpy; runpy.run_module('infer.app', run_name='__main__')"
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
    argv = [sys.executable, "-m", "infer.app", "--run", str(tiny_run), "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path / "uploads"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            # What it says first is where it listens.
            assert f"http://127.0.0.1:{port}" in next(line for line in server.stdout if "http" in line)
            asked = [sys.executable, "-W", "ignore", "-c", CLIENT, f"http://127.0.0.1:{port}", str(photo)]
            done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path)
        finally:
            server.terminate()
    page, record = json.loads(done.stdout.splitlines()[-1])
    assert "<iframe" in page
    record.pop("input")
    assert record == answered(photo, tiny_run, tmp_path / "out")
