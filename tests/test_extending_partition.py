"""A partition added as docs/extending.md says: a class, two functions, a row; then label maps, a training, and a copied run."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from dataset.manifest import coordinates, read_manifest
from geocells.partitions import PARTITIONS, partition_of
from geocells.sphere import box_area_km2
from infer.model import load_model
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import read_hierarchy
from plumbing.registry import Entry
from tests.tiny import joint_config
from train.tasks import train_joint


@dataclass(frozen=True)
class Bands:
    """Bands of latitude, 30 degrees wide; the key of a band is its number from the north."""

    name = "bands"
    level_names = ("band",)

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        lat = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)[:, 0]
        return np.clip((90 - lat) // 30, 0, 5).astype(np.int64)[:, None]

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        raise AssertionError("a partition of one level has no parents")

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        for key in set(keys.tolist()) - set(range(6)):
            raise ValueError(f"bands has no cell {key}")
        return [f"{60 - 30 * key} to {90 - 30 * key}" for key in keys.tolist()]

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        north = 90.0 - 30 * keys
        return np.stack([north - 30, np.full_like(north, -180), north, np.full_like(north, 180)], axis=-1)

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        return box_area_km2(self.bounds_deg(keys, depth))

    def outline(self, key: int, depth: int) -> None:
        return None  # a cell is its box

    def arrays(self) -> dict[str, NDArray]:
        return {}  # nothing but the name is needed to make it again


def build(name: str, training_deg: NDArray[np.float64]) -> Bands:
    return Bands()


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> Bands:
    return Bands()


BANDS = Entry("tests.test_extending_partition", "bands of latitude")


@pytest.fixture
def bands() -> Iterator[str]:
    PARTITIONS.register("bands", BANDS)
    yield "bands"
    PARTITIONS.forget("bands")


def test_a_partition_that_is_added_has_label_maps_and_a_network_and_goes_with_a_copied_run(bands, tiny, tmp_path):
    make_label_maps(LabelMapsConfig(tiny, tmp_path / "run", partition=bands))
    train_joint(joint_config(tiny, tmp_path / "run", epochs=1, batch_size=18))
    copied = shutil.copytree(tmp_path / "run", tmp_path / "copied")
    hierarchy = load_model(copied, torch.device("cpu")).hierarchy
    assert hierarchy.partition == Bands()
    assert hierarchy.name == ("30 to 60", "-30 to 0", "-60 to -30")
    photos = read_manifest(tiny)
    lat = coordinates(photos)[:, 0]
    expected = np.where(lat > 0, 0, np.where(lat > -30, 1, 2))
    np.testing.assert_array_equal(read_hierarchy(copied).classes(coordinates(photos))[:, 0], expected)


def test_a_partition_is_unknown_before_it_is_added_and_its_name_can_be_taken_once(bands):
    assert partition_of("bands", ("band",)) == Bands()
    with pytest.raises(ValueError, match="there is a partition 'bands' already"):
        PARTITIONS.register("bands", BANDS)
    PARTITIONS.forget("bands")
    with pytest.raises(ValueError, match="there is no partition 'bands'; there are: quad"):
        partition_of("bands", ("band",))
    PARTITIONS.register("bands", BANDS)


def test_flags_of_other_partitions_have_no_effect_with_one_that_is_added(bands, tmp_path):
    with pytest.raises(ValueError, match="--clusters 4 has no effect without --partition kmeans"):
        LabelMapsConfig(tmp_path, tmp_path, partition=bands, clusters=(4,))
