"""What `python -m infer` writes meets no photograph and no other file of its own."""

import json
import shutil
from pathlib import PurePath

import numpy as np
import pytest

from dataset.manifest import read_manifest, write_manifest
from fetch import pack
from fetch.config import PackConfig
from infer.__main__ import predict as main
from infer.config import InferConfig
from infer.photo_files import files_of, find_photos
from plumbing.images import open_rgb
from tests.tiny import PLACES, write_square

MAPS = {"maps": True}


def run_infer(photos, run, out, **flags):
    """Run the command and return what it wrote."""
    given = {"maps": False, "workers": 0, "device": "cpu", **flags}
    main(InferConfig(photos=tuple(photos), run=run, out=out, **given))
    return json.loads((out / "predictions.json").read_text())


def squares(folder, *names):
    """Write a square of another colour under each name, with PNG inside where the name says so."""
    paths = []
    for k, (name, (_, _, colour)) in enumerate(zip(names, PLACES.values(), strict=False)):
        path = write_square(folder / name, colour, np.random.default_rng(k))
        if path.suffix.lower() == ".png":
            open_rgb(path).save(path, "PNG")
        paths.append(path)
    return paths


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "names, out, flags",
    [
        (["album/holiday.png"], "album", MAPS),
        (["in/holiday.jpg", "album/holiday.png"], "album", MAPS),
        (["in/holiday.jpg", "album/holiday-2.png", "in/deep/holiday.jpg"], "album", MAPS),
        (["album/page.html"], "album", MAPS),
        (["album/stripped/a.png"], "album", {"strip": True}),
        (["in/a.jpg", "album/stripped/a-2.jpg", "in/deep/a.jpg"], "album", {"strip": True}),
        (["album/holiday.png"], "in/../album", MAPS),
        (["album/a.png", "album/a.jpg"], "album", {"limit": 1, **MAPS}),
    ],
)
def test_a_photograph_that_would_be_written_over_is_refused_before_any_answer(tiny_run, tmp_path, names, out, flags):
    (tmp_path / "in").mkdir()
    photos = squares(tmp_path, *names)
    before = contents(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"^\S+ is one of the photographs or their table and could be written over: choose another --out$",
    ):
        run_infer(photos, tiny_run, tmp_path / out, **flags)
    assert contents(tmp_path) == before


def test_the_table_that_names_photographs_is_not_written_over(tiny_run, tmp_path):
    squares(tmp_path, "album/a.png")
    (tmp_path / "album" / "predictions.csv").write_text("filename,lat,lon\na.png,10,20\n")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="could be written over"):
        run_infer([tmp_path / "album" / "predictions.csv"], tiny_run, tmp_path / "album")
    assert contents(tmp_path) == before


def test_a_photograph_is_known_through_a_link(tiny_run, tmp_path):
    (photo,) = squares(tmp_path, "album/holiday.png")
    (tmp_path / "holiday.png").symlink_to(photo)
    with pytest.raises(ValueError, match="could be written over"):
        run_infer([tmp_path / "holiday.png"], tiny_run, tmp_path / "album", **MAPS)


def test_maps_may_lie_beside_photographs_that_they_do_not_meet(tiny_run, tmp_path):
    photos = squares(tmp_path, "album/a.jpg", "album/b.jpg")
    before = contents(tmp_path)
    run_infer(photos, tiny_run, tmp_path / "album", **MAPS)
    assert before.items() <= contents(tmp_path).items()
    assert (tmp_path / "album" / "b.png").is_file()


def test_without_maps_a_picture_may_be_answered_where_its_map_would_lie(tiny_run, tmp_path):
    (photo,) = squares(tmp_path, "album/holiday.png")
    before = photo.read_bytes()
    run_infer([photo], tiny_run, tmp_path / "album")
    assert photo.read_bytes() == before


@pytest.mark.parametrize("same_place", [False, True])
def test_every_photograph_has_its_own_stripped_copy(tiny_run, tmp_path, same_place):
    photos = squares(tmp_path, "a/x.jpg", "b/x.jpg", "c/X.jpg", "d/y.jpg")
    run_infer(photos, tiny_run, tmp_path / "out", strip=True, same_place=same_place)
    copies = [tmp_path / "out" / "stripped" / name for name in ("x.jpg", "x-2.jpg", "X-3.jpg", "y.jpg")]
    assert sorted((tmp_path / "out" / "stripped").iterdir()) == sorted(copies)
    for photo, copy in zip(photos, copies, strict=True):
        assert np.array_equal(np.asarray(open_rgb(copy)), np.asarray(open_rgb(photo)))


def test_a_group_is_counted_by_its_photographs(tiny_run, tmp_path, capsys):
    photos = squares(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "torn.jpg").write_bytes(b"")
    run_infer([*photos, tmp_path / "torn.jpg"], tiny_run, tmp_path / "out", same_place=True)
    assert "2 of 3 answered (1 could not be read) together, as one place, in " in capsys.readouterr().out


@pytest.fixture
def two_packs(tiny, tmp_path):
    """Pack two datasets of other pictures under the same ids, and return them with what is packed."""
    packed = []
    for name in ("nairobi", "suva"):
        data = shutil.copytree(tiny, tmp_path / name)
        photos = read_manifest(data)
        photos = photos[photos["id"].str.startswith(name) & (photos["split"] == "test")].reset_index(drop=True)
        paths = [str(PurePath(path).with_name(f"photo-{k}.jpg")) for k, path in enumerate(photos["path"])]
        for old, new in zip(photos["path"], paths, strict=True):
            (data / old).rename(data / new)
        write_manifest(data, photos.assign(id=[f"photo-{k}" for k in range(len(photos))], path=paths))
        pack.run(PackConfig(data=data, out=tmp_path / f"{name}-packed"))
        packed.append((tmp_path / f"{name}-packed", [(data / path).read_bytes() for path in paths]))
    return packed


def test_pictures_of_packed_datasets_with_equal_ids_are_kept_apart(two_packs, tiny_run, tmp_path):
    records = run_infer([data for data, _ in two_packs], tiny_run, tmp_path / "out")
    inputs = [record["path"] for record in records]
    names = ["photo-0.jpg", "photo-1.jpg", "photo-0-2.jpg", "photo-1-2.jpg"]
    assert inputs == [str(tmp_path / "out" / "photographs" / name) for name in names]
    pictures = [picture for _, pictures in two_packs for picture in pictures]
    assert [(tmp_path / "out" / "photographs" / name).read_bytes() for name in names] == pictures
    assert len({record["sha256"] for record in records}) == 4


def test_a_picture_out_of_a_shard_is_not_written_over_a_photograph(two_packs, tiny_run, tmp_path):
    (photo,) = squares(tmp_path, "out/photographs/photo-0.jpg")
    before = photo.read_bytes()
    with pytest.raises(
        ValueError, match=r"photo-0\.jpg is one of the photographs or their table and could be written over"
    ):
        run_infer([two_packs[0][0], photo], tiny_run, tmp_path / "out")
    assert photo.read_bytes() == before


def test_a_photograph_that_has_a_file_keeps_it(tmp_path):
    photos = squares(tmp_path, "a/x.jpg", "b/x.jpg")
    assert files_of(find_photos(photos), tmp_path / "out") == photos


def test_maps_of_an_earlier_answer_inside_the_folder_are_no_photographs(tiny_run, tmp_path):
    squares(tmp_path / "album", "a.jpg", "b.jpg")
    for _ in range(2):
        records = run_infer([tmp_path / "album"], tiny_run, tmp_path / "album" / "answers", **MAPS)
        assert [PurePath(record["input"]).name for record in records] == ["a.jpg", "b.jpg"]
