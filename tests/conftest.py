"""What several tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.served import Served, served
from tests.tiny import joint_config, write_tiny

# The same examples on every machine, and none fails because another process keeps this one waiting.
settings.register_profile("ours", deadline=None, derandomize=True)
settings.load_profile("ours")

# Networks of tests are so small that threads only wait for each other. Torch reads this when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, which lies beside the checkout; tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real data is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of sixty squares in six cells; the colour tells the cell. It is not to be changed."""
    return write_tiny(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(scope="session")
def tiny_run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with label maps and a joint network of the tiny dataset. It is not to be changed: copy it."""
    from label_maps.build import main as make_label_maps
    from label_maps.config import LabelMapsConfig
    from train.tasks import train_joint

    run = tmp_path_factory.mktemp("tiny_run") / "run"
    make_label_maps(LabelMapsConfig(tiny, run))
    train_joint(joint_config(tiny, run))
    return run


@pytest.fixture(scope="session")
def app(tiny: Path, calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve that calibrated run, with a game of its test photographs; skip where gradio is not installed."""
    folder = tmp_path_factory.mktemp("app")
    flags = ["--play", str(tiny), "--photos", "12", "--table", str(folder / "table.csv")]
    with served(calibrated, folder / "uploads", *flags) as running:
        yield running


@pytest.fixture(scope="session")
def calibrated(tiny: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return that run, calibrated. It is not to be changed: copy it."""
    from train.calibrate import main as calibrate
    from train.config import CalibrateConfig

    run = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(tiny_run, run)
    calibrate(CalibrateConfig(tiny, run, workers=0, device="cpu"))
    return run
