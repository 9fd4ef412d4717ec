"""From a cell to a coordinate inside it: never outside its box, and the centre where nothing was learned."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from geocells.partitions.macro import MacroPartition, published_boxes
from geocells.sphere import distance_km, latlon_deg, unit_vectors
from infer.decode.point import CELLS_REFINED, answer_points, refined_points
from infer.model import load_model
from infer.network.refiner import Refiner, RefinerSpec, save_refiner, widened_boxes
from infer.run_files import REFINE
from label_maps.files import hierarchy_hash, read_hierarchy
from plumbing.files import sha256

KINDS = ("experts", "embedding")
WIDTH = 5
CPU = torch.device("cpu")


def refiner_of(kind, boxes_deg, center_deg, seed=0, strength=0.0):
    """Return a refiner of cells; the stronger, the wilder what its head says."""
    torch.manual_seed(seed)
    refiner = Refiner(RefinerSpec(kind, "L1", len(boxes_deg), WIDTH, "", "", ""))
    refiner.place(np.asarray(boxes_deg, dtype=np.float64), np.asarray(center_deg, dtype=np.float64))
    with torch.no_grad():
        for parameter in refiner.head.parameters():
            parameter += strength * torch.randn_like(parameter)
    return refiner.eval()


def middle(box):
    south, west, north, east = box
    return (south + north) / 2, west + (east - west) % 360 / 2


@st.composite
def boxes(draw):
    """A box anywhere: over the antimeridian, at a pole, around the world, as small as a house or as large as half of it."""
    south = draw(st.sampled_from([-90.0, -45.0, 0.0, 60.0, 89.0]))
    north = min(90.0, south + draw(st.sampled_from([0.001, 0.7, 20.0, 90.0])))
    west = draw(st.floats(-180, 180))
    width = draw(st.sampled_from([0.001, 1.4, 60.0, 300.0]))
    if draw(st.booleans()):
        return south, -180.0, north, 180.0
    east = west + width
    return south, west, north, east - 360 if east > 180 else east


def inside(points_deg, box, slack=1e-4):
    """Return which of (N, 2) points lie in a box; longitudes mean nothing at the poles."""
    south, west, north, east = box
    width = east - west + 360 * (east < west)
    offset = (points_deg[:, 1] - west + 180 - width / 2) % 360 - 180 + width / 2
    tall = (points_deg[:, 0] >= south - slack) & (points_deg[:, 0] <= north + slack)
    wide = (offset >= -slack) & (offset <= width + slack)
    return tall & (wide | (np.abs(points_deg[:, 0]) > 89.9))


@pytest.mark.parametrize("kind", KINDS)
@given(boxes(), st.integers(0, 1000), st.sampled_from([0.1, 3.0, 1000.0]))
def test_whatever_a_head_says_its_answer_lies_in_the_box(kind, box, seed, strength):
    refiner = refiner_of(kind, [box], [middle(box)], seed, strength)
    features = strength * torch.randn(20, WIDTH)
    with torch.inference_mode():
        vectors = refiner.vectors(features, torch.zeros(20, 1, dtype=torch.long))[:, 0]
    # Single precision of a unit vector is worth some metres.
    assert inside(latlon_deg(vectors.numpy()), box, slack=2e-3).all()


@pytest.mark.parametrize("kind", KINDS)
@given(boxes(), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_head_that_has_learned_nothing_answers_the_centre(kind, box, down, along):
    south, west, north, east = box
    width = east - west + 360 * (east < west)
    center = (south + down * (north - south), (west + along * width + 180) % 360 - 180)
    with torch.inference_mode():
        vectors = refiner_of(kind, [box], [center]).vectors(torch.randn(3, WIDTH), torch.zeros(3, 1, dtype=torch.long))
    assert distance_km(latlon_deg(vectors[:, 0].numpy()), center).max() < 0.1


@given(boxes(), st.floats(0, 1), st.floats(0, 1))
def test_shares_of_a_box_are_read_back_as_they_were_written(box, down, along):
    refiner = refiner_of("experts", [box], [middle(box)])
    cell, shares = torch.zeros(1, dtype=torch.long), torch.tensor([[down, along]])
    again = refiner.shares(refiner.latlon_deg(shares, cell), cell)
    # Of a box as small as a house, degrees in single precision leave hundredths.
    torch.testing.assert_close(again, shares, atol=0.05, rtol=0)


def test_a_place_beyond_the_antimeridian_has_its_share_of_the_box():
    refiner = refiner_of("experts", [(-20, 170, -10, -170)], [(-15, 180)])
    zero = torch.zeros(2, dtype=torch.long)
    shares = refiner.shares(torch.tensor([[-20.0, 175.0], [-10.0, -175.0]]), zero)
    torch.testing.assert_close(shares, torch.tensor([[0.0, 0.25], [1.0, 0.75]]))


@pytest.mark.parametrize("kind", KINDS)
def test_each_cell_of_a_photograph_is_refined_as_if_it_were_alone(kind):
    world = [(0, 0, 10, 10), (10, 0, 20, 10), (-20, 170, -10, -170)]
    refiner = refiner_of(kind, world, [middle(box) for box in world], strength=0.5)
    features, cells = torch.randn(4, WIDTH), torch.tensor([[2, 0], [1, 2], [0, 1], [1, 0]])
    with torch.inference_mode():
        together = refiner.vectors(features, cells)
        alone = [refiner.vectors(features[row, None], cells[row, k, None, None]) for row in range(4) for k in range(2)]
    torch.testing.assert_close(together.reshape(-1, 3), torch.cat(alone)[:, 0])


@given(st.integers(0, 50))
def test_a_widened_box_holds_its_cell_and_all_its_photographs(seed):
    rng = np.random.default_rng(seed)
    places = np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 200))), rng.uniform(-180, 180, 200)], axis=1)
    hierarchy = build_hierarchy(MacroPartition(published_boxes()), places)
    wide, cell = widened_boxes(hierarchy, 0, places), hierarchy.classes(places)[:, 0]
    for k, box in enumerate(wide):
        south, west, north, east = hierarchy.bounds_deg[k]
        assert inside(places[cell == k], box, 1e-9).all()
        assert inside(np.array([(south, west), (north, east), (south, east), (north, west)]), box, 1e-9).all()


def test_boxes_that_hold_their_photographs_stay_as_they_are():
    places = [(-18.1, 178.4), (-18.2, 179.9), (60.0, 24.9)]
    hierarchy = build_hierarchy(QuadPartition((1, 5)), places)
    for level in (0, 1):
        np.testing.assert_allclose(widened_boxes(hierarchy, level, places), hierarchy.bounds_deg[hierarchy.rows(level)])


def test_where_no_cell_is_moved_the_point_is_that_of_the_centres():
    generator = torch.Generator().manual_seed(0)
    centers = torch.nn.functional.normalize(torch.randn(60, 3, generator=generator), dim=1)
    log_cell = torch.randn(7, 60, generator=generator).log_softmax(dim=1)
    expected = answer_points("geoscore", log_cell, centers)
    torch.testing.assert_close(refined_points(log_cell, centers, lambda cells: centers[cells]), expected)


def test_the_likeliest_cells_are_refined_and_the_point_follows_them():
    places = [(50.0, 0.0), (-30.0, 150.0)]
    centers = torch.from_numpy(unit_vectors(places)).float()
    moved = torch.from_numpy(unit_vectors([(52.0, 3.0), (-30.0, 150.0)])).float()
    point = refined_points(torch.tensor([[0.9, 0.1]]).log(), centers, lambda cells: moved[cells]).numpy()
    assert distance_km(point[0], (52.0, 3.0)) < 1
    asked = []
    refined_points(
        torch.zeros(1, 40), torch.ones(40, 3), lambda cells: asked.append(cells.shape) or torch.ones(*cells.shape, 3)
    )
    assert asked == [(1, CELLS_REFINED)]


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run with a refiner that has learned nothing."""
    folder = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    write_refiner(folder)
    return folder


def write_refiner(run, **changes):
    hierarchy = read_hierarchy(run)
    spec = RefinerSpec(
        "experts", "L8", 6, 1024, hierarchy_hash(hierarchy), "joint.safetensors", sha256(run / "joint.safetensors")
    )
    refiner = Refiner(spec)
    refiner.place(hierarchy.bounds_deg[hierarchy.rows(3)], hierarchy.center_deg[hierarchy.rows(3)])
    save_refiner(run / REFINE, refiner, replace(spec, **changes), {})


def test_a_run_with_a_refiner_has_its_point_and_another_hash(tiny_run, run):
    plain, model = load_model(tiny_run, CPU), load_model(run, CPU)
    assert plain.point_methods == ("top", "mean", "median", "geoscore")
    assert model.point_methods == ("top", "mean", "median", "geoscore", "refined", "expert")
    assert plain.hash != model.hash
    seen = model.outputs(torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8))
    posterior = model.posterior(seen.logits)
    refined = model.with_choices(None, "refined").points(posterior, seen)
    assert distance_km(refined, model.points(posterior)).max() < 0.1


def test_asking_for_refined_where_there_is_no_refiner_is_refused_with_what_there_is(tiny_run):
    with pytest.raises(ValueError, match=r"--point refined: run has no refiner: .*train.refine`; its points are top, "):
        load_model(tiny_run, CPU).with_choices(None, "refined")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"label_map_hash": "of another"}, "refines cells of other label maps than"),
        ({"level": "L4"}, "refines cells of other label maps than"),
        ({"trunk_hash": "of another"}, "was trained on another network than"),
        ({"trunk": "L8.safetensors"}, "was trained on another network than"),
        ({"width": 7}, "is damaged or not a refiner"),
        ({"kind": "guess"}, "is damaged or not a refiner"),
    ],
)
def test_a_refiner_that_does_not_belong_to_the_run_is_refused_in_one_line(run, changes, complaint):
    write_refiner(run, **changes)
    with pytest.raises(ValueError, match=rf"refine.safetensors {complaint}.*train.refine --overwrite`, or") as bad:
        load_model(run, CPU)
    assert "\n" not in str(bad.value)


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_damaged_refiner_is_named(run, content):
    (run / REFINE).write_bytes(content)
    with pytest.raises(ValueError, match=r"refine\.safetensors is damaged or not a refiner"):
        load_model(run, CPU)


def test_the_expert_of_the_most_probable_cell_answers_whatever_the_others_say(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    hierarchy = read_hierarchy(run)
    spec = RefinerSpec(
        "experts", "L8", 6, 1024, hierarchy_hash(hierarchy), "joint.safetensors", sha256(run / "joint.safetensors")
    )
    wild = Refiner(spec)
    wild.place(hierarchy.bounds_deg[hierarchy.rows(3)], hierarchy.center_deg[hierarchy.rows(3)])
    torch.nn.init.normal_(wild.head.weight, generator=torch.Generator().manual_seed(0))
    save_refiner(run / REFINE, wild, spec, {})
    model = load_model(run, CPU)
    seen = model.outputs(torch.randint(0, 255, (8, 3, 32, 32), dtype=torch.uint8))
    posterior = model.posterior(seen.logits)
    expected = []
    for row, best in enumerate(posterior[3].argmax(dim=1).tolist()):
        # Literally: that cell's own linear layer on standardised features, a sigmoid, and its box.
        features = (seen.features[row] - wild.mean) / wild.std
        shares = (wild.start[best] + wild.head.weight[best] @ features + wild.head.bias[best]).sigmoid()
        lat, lon = (wild.origin_deg[best] + shares * wild.size_deg[best]).tolist()
        expected.append((lat, (lon + 180) % 360 - 180))
    assert distance_km(model.with_choices(None, "expert").points(posterior, seen), expected).max() < 0.01


def test_two_neighbours_that_outweigh_the_best_cell_draw_refined_and_not_expert(run):
    model = load_model(run, CPU)
    boxes = [(0, 0, 1, 1), (50, 50, 51, 51), (50, 51, 51, 52), (-30, 0, -29, 1), (-40, 0, -39, 1), (-50, 0, -49, 1)]
    model.refiner[0].place(np.array(boxes, dtype=np.float64), np.array([middle(box) for box in boxes]))
    seen = model.outputs(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    posterior = [*model.posterior(seen.logits)[:3], torch.tensor([[0.4, 0.3, 0.3, 0.0, 0.0, 0.0]]).log()]
    assert distance_km(model.with_choices(None, "expert").points(posterior, seen)[0], (0.5, 0.5)) < 0.1
    assert distance_km(model.with_choices(None, "refined").points(posterior, seen)[0], (50.5, 51.0)) < 60
