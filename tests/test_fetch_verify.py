"""A dataset is held against its manifest, and says what it holds."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataset.manifest import read_manifest, write_manifest
from fetch.config import PackConfig, StatusConfig, VerifyConfig
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import run as demo
from fetch.pack import run as pack
from fetch.verify import BAD, run, status

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    data = tmp_path_factory.mktemp("whole") / "demo"
    demo(DemoConfig(out=data, images=60, size=32))
    return data


@pytest.fixture
def data(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "d")
    return tmp_path / "d"


def test_a_whole_dataset_passes(whole, capsys):
    assert run(VerifyConfig(data=whole)) == 0
    assert capsys.readouterr().out == ""


def test_each_kind_of_fault_is_found_and_named(data, capsys):
    photos = read_manifest(data)
    gone, changed, damaged = photos["path"][:3]
    (data / gone).unlink()
    body = bytearray((data / changed).read_bytes())
    body[len(body) // 2] ^= 1
    (data / changed).write_bytes(body)
    (data / damaged).write_bytes((data / damaged).read_bytes()[:-80])
    photos.loc[2, "sha256"] = None
    write_manifest(data, photos)
    assert run(VerifyConfig(data=data)) == BAD
    said = {f"missing: {gone}", f"changed: {changed}"}
    assert set(capsys.readouterr().out.splitlines()) == said | {f"damaged: {damaged}"}
    assert run(VerifyConfig(data=data, quick=True)) == BAD
    assert set(capsys.readouterr().out.splitlines()) == said


def test_a_long_list_of_faults_is_cut(data, capsys):
    shutil.rmtree(data / "images")
    assert run(VerifyConfig(data=data)) == BAD
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 40 more"


def test_the_command_ends_with_code_2_and_counts(data):
    (data / read_manifest(data)["path"][0]).unlink()
    command = [sys.executable, "-m", "fetch", "verify", "--data", str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "59 of 60 pictures are as the manifest says, 1 missing" in done.stderr


def test_status_says_how_many_where_and_how_much(data, capsys):
    status(StatusConfig(data=data))
    said = capsys.readouterr().out
    size = sum(path.stat().st_size for path in (data / "images").rglob("*.jpg"))
    assert f"60 pictures in files, {size / 1e6:,.1f} MB" in said
    assert "demo planet (synthetic) 60" in said
    assert "left out 0 of 60" in said


def test_where_there_is_no_dataset_both_say_so(tmp_path):
    for action, config in ((run, VerifyConfig(data=tmp_path)), (status, StatusConfig(data=tmp_path))):
        with pytest.raises(ValueError, match="is not a dataset"):
            action(config)


def test_status_counts_the_pictures_of_shards(data, tmp_path, capsys):
    pack(PackConfig(data=data, out=tmp_path / "packed"))
    status(StatusConfig(data=tmp_path / "packed"))
    size = read_manifest(tmp_path / "packed")["size"].sum()
    assert f"60 pictures in 3 shards, {size / 1e6:,.1f} MB" in capsys.readouterr().out
