"""Files of the older project, with all their known quirks, become a run that answers as they did."""

import csv
import json
import shutil
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from geocells import grid
from infer.config import ImportConfig
from infer.decode.posterior import fuse
from infer.importers.geoguessr2 import EMPTY_CELLS, main
from infer.importers.geoguessr2_files import cell_text
from infer.model import load_model
from label_maps.files import hierarchy_hash
from label_maps.run_folder import read_split

ARCH = "shufflenet_v2_x0_5"
LEVELS = (1, 3, 5)
CPU = torch.device("cpu")
CHILDLESS, ORPHAN = grid.encode((-1.3, 36.8), 3), grid.encode((19.4, -99.1), 5)
SCATTERED = np.random.default_rng(5).uniform((-85, -179), (85, 179), (90, 2)).round(4)
# More than six L3 cells in each L1 cell: the published rule breaks ties among impossible ones by chance.
PLACES = SCATTERED[~np.isin(grid.encode(SCATTERED, 3), [CHILDLESS, grid.parent(ORPHAN, 5, 3)])]


def text(cell: int, level: int, separator: str = "/") -> str:
    return grid.format_id(cell, level).replace("/", separator)


def write_older(folder: Path, seed: int = 0) -> dict[int, list[int]]:
    """Write the older layout; return the cells of each level in their old, random order.

    One L3 class has no child, one L5 class has no parent.
    """
    rng = np.random.default_rng(seed)
    cells = {level: sorted(set(grid.encode(PLACES, level).tolist())) for level in LEVELS}
    cells[3].append(int(CHILDLESS))
    cells[5].append(int(ORPHAN))
    for level in LEVELS:
        cells[level] = [cells[level][k] for k in rng.permutation(len(cells[level]))]
        separator = "\\" if level == 3 else "/"
        labels = {text(cell, level, separator): k for k, cell in enumerate(cells[level])}
        write_pth(folder / "label_maps" / f"label_map_L{level}.pth", labels)
    for above, below in pairwise(LEVELS):
        children = {
            p: [c for c, cell in enumerate(cells[below]) if grid.parent(cell, below, above) == parent]
            for p, parent in enumerate(cells[above])
        }
        write_pth(folder / "label_maps" / f"l{above}_to_l{below}.pth", {p: c for p, c in children.items() if c})
    for level in LEVELS:
        torch.manual_seed(seed + level)
        network = torchvision.models.get_model(ARCH, weights=None, num_classes=len(cells[level]))
        state = network.state_dict()
        write_pth(folder / "models" / f"hierarchy_L{level}.pth", {"model_state_dict": state} if level == 5 else state)
        (folder / "models" / f"L{level}_temperature.txt").write_text(f"{1 + level / 10}\n")
    write_photos(folder / "metadata.csv")
    (folder / "empty_grids.txt").write_text("0/1/2/3/0\n0\\1\\2\\3\\1\n0/1/2/3/0/1/2/3/0\n\n")
    return cells


def write_pth(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def write_photos(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "lat", "lon", "grid_label"])
        for k, (lat, lon) in enumerate(PLACES):
            rows.writerow([f"{k}.jpg", lat, lon, text(int(grid.encode((lat, lon), 5)), 5, "\\")])


@pytest.fixture
def older(tmp_path):
    """The older layout in a folder, and its classes."""
    return tmp_path / "old", write_older(tmp_path / "old")


def imported(folder: Path, tmp_path: Path):
    main(ImportConfig(old=folder, run=tmp_path / "run", arch=ARCH))
    return load_model(tmp_path / "run", CPU)


def published_rule(cells, logits):
    """Return the finest probabilities by the published rule, read literally: dictionaries and loops, k clamped."""
    probabilities = torch.softmax(logits[LEVELS[0]], dim=0)
    for above, below in pairwise(LEVELS):
        best = float(probabilities.max())
        k = 1 if best >= 0.85 else 2 if best >= 0.65 else 3 if best >= 0.40 else 6
        kept = torch.topk(probabilities, min(k, len(probabilities)))
        masked = torch.full((len(cells[below]),), -torch.inf)
        for probability, index in zip(*kept, strict=True):
            for c, cell in enumerate(cells[below]):
                if grid.parent(cell, below, above) == cells[above][int(index)]:
                    masked[c] = probability * logits[below][c]
        probabilities = torch.softmax(masked, dim=0)
    return probabilities


@pytest.mark.parametrize("seed", range(20))
def test_greedy_fusion_gives_what_the_published_rule_gives(older, tmp_path, seed):
    folder, cells = older
    model = imported(folder, tmp_path)
    generator = torch.Generator().manual_seed(seed)
    old = {level: 3 * torch.randn(len(cells[level]), generator=generator) for level in LEVELS}
    # The older rule knows no temperatures; a class it does not have has the logit the importer gives it.
    ours = []
    for depth, level in enumerate(LEVELS):
        keys = model.hierarchy.key[model.hierarchy.rows(depth)].tolist()
        known = {cell: float(old[level][k]) for k, cell in enumerate(cells[level])}
        ours.append(torch.tensor([[known.get(key, -1e30) for key in keys]]))
    answered = fuse(model.tree, ours, (1.0,) * 3, "greedy")[-1].exp()[0]
    expected = published_rule(cells, old)
    by_cell = dict(zip(cells[5], expected.tolist(), strict=True))
    keys = model.hierarchy.key[model.hierarchy.rows(2)].tolist()
    np.testing.assert_allclose(answered, [by_cell.get(key, 0.0) for key in keys], atol=1e-6)


def test_each_network_says_of_each_cell_what_it_said_before(older, tmp_path):
    folder, cells = older
    model = imported(folder, tmp_path)
    pixels = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = (pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]
    for depth, (level, logits) in enumerate(zip(LEVELS, model.logits(pixels), strict=True)):
        network = torchvision.models.get_model(ARCH, weights=None, num_classes=len(cells[level])).eval()
        state = torch.load(folder / "models" / f"hierarchy_L{level}.pth", weights_only=True)
        network.load_state_dict(state.get("model_state_dict", state))
        with torch.inference_mode():
            before = network(images)
        for k, key in enumerate(model.hierarchy.key[model.hierarchy.rows(depth)].tolist()):
            if key in cells[level]:
                torch.testing.assert_close(logits[:, k], before[:, cells[level].index(key)], rtol=1e-5, atol=1e-5)
            else:
                assert (logits[:, k] < -1e29).all()


@pytest.mark.parametrize("fusion", ["chain", "product"])
def test_every_level_of_an_imported_run_has_all_of_the_probability(older, tmp_path, fusion):
    model = imported(older[0], tmp_path)
    logits = [torch.randn(4, size, generator=torch.Generator().manual_seed(2)) for size in model.hierarchy.sizes()]
    logits[2][
        :, model.hierarchy.key[model.hierarchy.rows(2)] == stand_in(model)
    ] = -torch.inf  # as half precision has it
    for level in fuse(model.tree, logits, model.temperatures[fusion], fusion):
        np.testing.assert_allclose(level.exp().sum(dim=1), 1, atol=1e-5)


def stand_in(model) -> int:
    keys = model.hierarchy.key[model.hierarchy.rows(2)]
    return int(keys[grid.parent(keys, 5, 3) == CHILDLESS][0])


def test_a_parent_without_a_child_gets_one_and_a_child_without_a_parent_goes(older, tmp_path, capsys):
    folder, cells = older
    model = imported(folder, tmp_path)
    leaves = set(model.hierarchy.key[model.hierarchy.rows(2)].tolist())
    assert leaves == {*cells[5], stand_in(model)} - {int(ORPHAN)}
    assert len(set(model.hierarchy.parent_class(2).tolist())) == len(cells[3])
    finest = capsys.readouterr().out.splitlines()[3].split()
    assert finest == ["L5", str(len(cells[5])), str(len(PLACES)), "1.500", "1", "1"]


def test_temperatures_photographs_and_empty_cells_come_along(older, tmp_path):
    model = imported(older[0], tmp_path)
    assert model.temperatures["greedy"] == (1.1, 1.3, 1.5)
    assert model.calibrated
    assert set(read_split(tmp_path / "run")) == {f"{k}.jpg" for k in range(len(PLACES))}
    assert (tmp_path / "run" / EMPTY_CELLS).read_text() == "0/1/2/3/0\n0/1/2/3/1\n"
    first = model.hierarchy.classes([PLACES[0]])[0, 2] + model.hierarchy.rows(2).start
    near = [k for k in range(len(PLACES)) if grid.encode(PLACES[k], 5) == model.hierarchy.key[first]]
    assert model.hierarchy.train_count[first] == len(near)
    np.testing.assert_allclose(model.hierarchy.center_deg[first], PLACES[near].mean(axis=0), atol=0.05)


def test_it_does_without_temperatures_and_metadata(older, tmp_path):
    folder, _ = older
    for path in (*folder.rglob("*.txt"), folder / "metadata.csv"):
        path.unlink()
    model = imported(folder, tmp_path)
    assert model.temperatures["greedy"] == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(model.hierarchy.center_deg, grid_centers(model), atol=1e-6)


def test_copies_beside_the_training_scripts_count_once_and_other_ones_are_ignored(older, tmp_path, caplog):
    plain = imported(older[0], tmp_path / "plain")
    label_map = older[0] / "label_maps" / "label_map_L3.pth"
    copy = older[0] / "train_scripts" / label_map.name
    copy.parent.mkdir()
    shutil.copy(label_map, copy)
    assert_same_networks(imported(older[0], tmp_path / "equal"), plain)
    assert "of that name" not in caplog.text
    torch.save({"0/1/2": 0}, copy)
    assert_same_networks(imported(older[0], tmp_path / "other"), plain)
    assert f"{label_map} is read; 1 other file of that name is ignored, with other content" in caplog.text
    label_map.rename(older[0] / "models" / label_map.name)
    with pytest.raises(ValueError, match=r"must hold label_map_L3\.pth once, it holds 2 of them, which differ"):
        imported(older[0], tmp_path / "neither")


def test_pointers_of_git_lfs_are_named_as_such(older, tmp_path):
    (older[0] / "label_maps" / "l1_to_l3.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ValueError, match="is a pointer of Git LFS"):
        imported(older[0], tmp_path)


SPELLINGS = {
    "data/hierarchy_L{level}/": "_",
    "data\\hierarchy_L{level}\\": "_",
    "C:\\photos 3\\2\\x\\": "\\",
    "./": "/",
    "../grids/3x/": "/",
}


@pytest.mark.parametrize(("prefix", "separator"), SPELLINGS.items())
def test_label_maps_name_cells_behind_any_folders(older, tmp_path, prefix, separator):
    plain = imported(older[0], tmp_path / "plain")
    for level in LEVELS:
        respell = partial(respelled, prefix=prefix.format(level=level), separator=separator)
        change(older[0] / "label_maps" / f"label_map_L{level}.pth", respell)
    model = imported(older[0], tmp_path / "other")
    assert hierarchy_hash(model.hierarchy) == hierarchy_hash(plain.hierarchy)
    assert_same_networks(model, plain)


def assert_same_networks(model, other):
    for ours, theirs in zip(model.networks, other.networks, strict=True):
        for own, same in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(own, same)


def respelled(classes, prefix, separator):
    return {prefix + name.replace("\\", "/").replace("/", separator): k for name, k in classes.items()}


def test_the_cell_at_the_end_of_a_path_is_found_whole():
    assert cell_text("data/hierarchy_L3/0_1_2") == "0_1_2"
    assert cell_text("data/hierarchy_L3/0/1/2/") == "0/1/2"
    assert cell_text(" .\\0\\1\\2") == "0/1/2"
    assert cell_text("0/1_2") == "0/1_2"
    assert cell_text("7/1/2") == "7/1/2"
    assert cell_text("data/L3_0_1_2") == "data/L3_0_1_2"


WRAPPERS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 6},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {}},
    "parallel": lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    "bare and parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "compiled and parallel": lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_weights_are_found_however_a_checkpoint_wraps_them(older, tmp_path, wrap):
    plain = imported(older[0], tmp_path / "plain")
    for level in LEVELS:
        change(
            older[0] / "models" / f"hierarchy_L{level}.pth",
            lambda content: wrap(content.get("model_state_dict", content)),
        )
    assert_same_networks(imported(older[0], tmp_path / "other"), plain)


def grid_centers(model):
    b = model.hierarchy.bounds_deg
    return np.stack([(b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2], axis=-1)


def change(path: Path, edit) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(edit(content), path)


@pytest.mark.parametrize(
    "file, edit, complaint",
    [
        ("label_maps/label_map_L3.pth", lambda m: dict(list(m.items())[:-1]), r"label_map_L3|l1_to_l3"),
        ("label_maps/label_map_L3.pth", lambda m: {**m, "0/1": len(m)}, "a cell of L2, among the classes of L3"),
        ("label_maps/label_map_L3.pth", lambda m: {k: v + 1 for k, v in m.items()}, "label_map_L3.pth numbers"),
        ("label_maps/label_map_L3.pth", lambda m: {**m, "5/1/2": len(m)}, "is not a cell"),
        ("label_maps/label_map_L3.pth", lambda m: [1, 2], "is not a map from folders to classes"),
        ("label_maps/l3_to_l5.pth", lambda m: {p: [c + 1 for c in cs] for p, cs in m.items()}, "is not a cell inside it"),
        ("label_maps/l3_to_l5.pth", lambda m: dict(list(m.items())[1:]), r"l3_to_l5.pth leaves out \d+ children"),
        ("label_maps/l3_to_l5.pth", lambda m: 7, "is not a map from classes to lists"),
        ("models/hierarchy_L3.pth", lambda s: {k: v[:-1] if k.startswith("fc.") else v for k, v in s.items()},
         r"hierarchy_L3.pth has \d+ outputs but label_map_L3.pth has \d+ classes"),
        ("models/hierarchy_L3.pth", lambda s: dict(list(s.items())[3:]), f"is no {ARCH}"),
        ("models/L3_temperature.txt", None, "L3_temperature.txt holds no positive number"),
    ],
)  # fmt: skip
def test_files_that_disagree_are_named_and_nothing_is_written(older, tmp_path, file, edit, complaint):
    if edit is None:
        (older[0] / file).write_text("-1")
    else:
        change(older[0] / file, edit)
    with pytest.raises(ValueError, match=complaint) as refusal:
        imported(older[0], tmp_path)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


class Trap:
    def __reduce__(self):
        return (print, ("code of a file ran",))


def test_code_in_a_file_does_not_run(older, tmp_path, capsys):
    torch.save({"0/1/2": Trap()}, older[0] / "label_maps" / "label_map_L3.pth")
    with pytest.raises(ValueError, match="more than plain values"):
        imported(older[0], tmp_path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_makes_a_run_that_answers(older, tmp_path, tiny):
    run = tmp_path / "run"
    for arguments in (
        ["infer", "import", "geoguessr2", older[0], "--run", run, "--arch", ARCH],
        [
            "infer",
            "predict",
            tiny,
            "--run",
            run,
            "--limit",
            "2",
            "--fusion",
            "greedy",
            "--out",
            tmp_path / "out",
            "--no-maps",
        ],
    ):
        root = Path(__file__).parents[1]
        subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=root, check=True, capture_output=True)
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 2
