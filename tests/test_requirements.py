"""The lock keeps the bounds of requirements.txt, and the image is made of what lies here."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.windows import OURS

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
REQUIRED = [
    Requirement(line.split("#")[0])
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
]
BLOCK = re.compile(
    r"^(?P<pin>[a-z0-9][^ =]*==[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.M,
)
PINNED = {Requirement(found["pin"]).name: Requirement(found["pin"]) for found in BLOCK.finditer(LOCK)}


def lines_of(name):
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def version_of(name):
    (pin,) = PINNED[canonicalize_name(name)].specifier
    return pin.version


@pytest.mark.parametrize("required", REQUIRED, ids=str)
def test_a_requirement_has_a_lower_bound_that_the_lock_keeps(required):
    assert [s.operator for s in required.specifier] == [">="]
    assert required.specifier.contains(version_of(required.name))


def test_the_lock_is_nothing_but_comments_versions_markers_and_hashes():
    left = BLOCK.sub("", LOCK)
    assert [line for line in left.splitlines() if line and not line.startswith("#")] == []
    assert "gradio" in PINNED
    assert not re.search(r"://|file:|index-url|find-links| @ ", LOCK)


def test_versions_have_no_local_part_for_the_index_has_none():
    assert [name for name in PINNED if "+" in version_of(name)] == []


@pytest.mark.parametrize("name", ["torch", "numpy", "pillow", "pillow-heif", "pyarrow"])
def test_the_lock_holds_the_files_of_all_systems(name):
    block = next(found for found in BLOCK.finditer(LOCK) if found["pin"].startswith(f"{name}=="))
    # Linux, macOS and Windows at least, of more than one version of Python.
    assert block["hashes"].count("sha256:") >= 6
    assert block["marker"] is None


def test_the_image_without_cuda_leaves_out_torch_and_cuda_and_nothing_else(tmp_path):
    written = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    program = re.search(r"awk '([^']+)'", written)[1]
    kept = subprocess.run(
        ["awk", program, ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    ).stdout
    names = {Requirement(found["pin"]).name for found in BLOCK.finditer(kept)}
    assert {name for name in PINNED.keys() - names if not name.startswith("nvidia-")} == {
        "torch", "torchvision", "triton", "cuda-bindings", "cuda-pathfinder", "cuda-toolkit",
    }  # fmt: skip
    pins = subprocess.run(
        ["sed", "-n", re.search(r"sed -n '([^']+)'", written)[1], ROOT / "requirements.lock"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert pins.stdout.split() == [f"torch=={version_of('torch')}", f"torchvision=={version_of('torchvision')}"]


def test_the_image_serves_as_a_user_without_rights_and_on_this_machine_alone():
    written = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["app"]
    assert re.findall(r"^USER (\w+)$", written, re.M) == ["geo"]
    assert '"infer", "serve"' in re.search(r"^CMD (.+)$", written, re.M)[1]
    assert service["ports"] == ["127.0.0.1:7860:7860"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert not re.search(r"token|secret|password=", written, re.I)


def test_nothing_but_the_code_gets_into_the_image():
    everything, *patterns = [line for line in lines_of(".dockerignore") if not line.startswith("#")]
    assert everything == "*"
    kept = {line[1:] for line in patterns if line.startswith("!")}
    assert kept == {*OURS, "requirements.lock", "requirements.txt", "LICENSE", "README.md"} - {"bench", "tools"}
    assert {"**/__pycache__", "**/.env", "**/*.token"} == {line for line in patterns if not line.startswith("!")}


def test_the_folders_that_the_image_writes_to_are_those_of_the_user_and_not_of_git():
    written = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["app"]
    folders = re.search(r"mkdir ([a-z ]+) &&", written)[1].split()
    assert service["volumes"] == [f"./{name}:/app/{name}" for name in folders]
    assert {f"/{name}/" for name in folders} <= set(lines_of(".gitignore"))
    assert f"mkdir -p {' '.join(folders)}" in (ROOT / "docs" / "desks.md").read_text(encoding="utf-8")
    # Weights and maps are downloaded into one of them, for the rest of the disk is read-only.
    assert "XDG_CACHE_HOME=/app/cache" in written
    assert "cache" in folders


def test_the_command_of_the_image_parses():
    from infer.__main__ import COMMANDS
    from plumbing.config import parse

    words = yaml.safe_load(re.search(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)[1])
    assert words[:4] == ["python", "-m", "infer", "serve"]
    config = parse(COMMANDS["serve"][0], "python -m infer serve", words[4:])
    assert (str(config.run), config.host) == ("runs/demo", "0.0.0.0")
