"""What training minimises."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocells.hierarchy import UNKNOWN
from geocells.sphere import EARTH_RADIUS_KM, latlon_deg, unit_vectors
from infer.decode.point import answer_points
from infer.decode.posterior import Tree, chain
from train.config import JointConfig
from train.losses import (
    Haversine,
    Objective,
    Targets,
    balanced_class_weights,
    default_tau_km,
    haversine_targets,
    smooth_one_hot,
)
from train.registry import LOSSES

haversine = pytest.importorskip("haversine")

TREE = Tree((torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1, 2, 2])), (2, 3, 5))
PLACES = latlon_deg(np.random.default_rng(0).standard_normal((10, 3)))


def vectors(places_deg):
    return torch.from_numpy(unit_vectors(places_deg)).float()


CENTERS = tuple(vectors(part) for part in (PLACES[:2], PLACES[2:5], PLACES[5:]))


def loss_of(name="cross_entropy", centers=CENTERS, **flags):
    """The loss of a name, as flags make it."""
    plain = {"tau_km": (800.0, 400.0, 100.0)} if name == "haversine" else {}
    config = JointConfig(Path("d"), Path("r"), loss=name, **{**plain, **flags})
    return LOSSES[name].load().of(config, centers)


def objective(loss="cross_entropy", on="levels", weights=(1.0, 1.0, 1.0), class_weights=(), **flags):
    return Objective(TREE, CENTERS, loss_of(loss, **flags), on, weights, class_weights)


def logits_of(number=0, batch=4, scale=2.0):
    generator = torch.Generator().manual_seed(number)
    return [scale * torch.randn(batch, size, generator=generator) for size in TREE.sizes]


def targets_of(leaves, places_deg=None):
    """Targets of true leaves; UNKNOWN stays unknown at every level."""
    rows = []
    for leaf in leaves:
        middle = UNKNOWN if leaf == UNKNOWN else int(TREE.parent_class[1][leaf])
        coarse = UNKNOWN if leaf == UNKNOWN else int(TREE.parent_class[0][middle])
        rows.append((coarse, middle, leaf))
    where = PLACES[: len(leaves)] if places_deg is None else places_deg
    return Targets(torch.tensor(rows), vectors(where))


@given(st.integers(0, 999), st.sampled_from([5.0, 75.0, 800.0, 20_000.0]))
def test_haversine_targets_are_those_of_pigeon(number, tau_km):
    rng = np.random.default_rng(number)
    centers, true = latlon_deg(rng.standard_normal((7, 3))), latlon_deg(rng.standard_normal(3))
    away = np.array([haversine.haversine(tuple(c), tuple(true)) for c in centers])
    # Equation 2: the distance of the true class, here the nearest one, is subtracted before the exponential.
    expected = np.exp(-(away - away.min()) / tau_km)
    ours = haversine_targets(vectors(true[None]), vectors(centers), tau_km)[0].numpy()
    np.testing.assert_allclose(ours, expected / expected.sum(), atol=3e-3 * max(1, 75 / tau_km))


def test_the_radius_is_that_of_the_haversine_package():
    assert haversine.haversine((0, 0), (0, 180)) == pytest.approx(np.pi * EARTH_RADIUS_KM)


@given(st.integers(0, 99), st.floats(1, 5000))
def test_haversine_targets_sum_to_one_and_fall_with_distance(number, tau_km):
    rng = np.random.default_rng(number)
    centers, true = latlon_deg(rng.standard_normal((9, 3))), latlon_deg(rng.standard_normal((3, 3)))
    wanted = haversine_targets(vectors(true), vectors(centers), tau_km)
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(3))
    away = torch.cdist(vectors(true), vectors(centers))
    for row, distance in zip(wanted, away, strict=True):
        assert (row[distance.argsort()].diff() <= 1e-6).all()


def test_with_a_vanishing_tau_all_of_the_target_is_the_nearest_class():
    true, centers = vectors(PLACES[:3]), CENTERS[2]
    wanted = haversine_targets(true, centers, 1e-3)
    torch.testing.assert_close(wanted, torch.nn.functional.one_hot(torch.cdist(true, centers).argmin(1), 5).float())


def test_with_a_vast_tau_all_classes_are_wanted_alike():
    torch.testing.assert_close(haversine_targets(vectors(PLACES), CENTERS[2], 1e9), torch.full((10, 5), 0.2))


def test_neighbouring_centres_metres_apart_are_told_apart():
    centers = vectors([(48.8567, 2.3508), (48.8567, 2.3535)])  # 200 m
    wanted = haversine_targets(vectors([(48.8567, 2.3508)]), centers, 0.2)
    assert float(wanted[0, 0]) == pytest.approx(1 / (1 + np.exp(-0.9875)), abs=0.02)


def test_cross_entropy_is_that_of_torch_summed_over_levels():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    expected = [torch.nn.functional.cross_entropy(z, c) for z, c in zip(logits, targets.classes.T, strict=True)]
    torch.testing.assert_close(objective()(logits, targets), sum(expected) / 3)
    weighted = objective(weights=(1.0, 0.0, 3.0))(logits, targets)
    torch.testing.assert_close(weighted, (expected[0] + 3 * expected[2]) / 4)


def test_label_smoothing_is_that_of_torch():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    expected = torch.nn.functional.cross_entropy(logits[2], targets.classes[:, 2], label_smoothing=0.1)
    ours = objective(weights=(0.0, 0.0, 1.0), label_smoothing=0.1)(logits, targets)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(smooth_one_hot(torch.tensor([2]), 4, 0.2), torch.tensor([[0.05, 0.05, 0.85, 0.05]]))


@pytest.mark.parametrize("on", ["levels", "siblings", "tree"])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_photographs_of_unknown_cells_teach_no_class(loss, on):
    logits = [z.requires_grad_() for z in logits_of()]
    objective(loss, on)(logits, targets_of([0, UNKNOWN, 4, UNKNOWN])).backward()
    for z in logits:
        assert (z.grad[[1, 3]] == 0).all()
        assert torch.isfinite(z.grad).all()


def test_a_batch_of_unknown_cells_has_no_loss_and_no_gradient():
    logits = [z.requires_grad_() for z in logits_of()]
    loss = objective()(logits, targets_of([UNKNOWN] * 4))
    loss.backward()
    assert loss == 0
    assert all((z.grad == 0).all() for z in logits)


def test_photographs_of_unknown_cells_still_teach_where_they_are():
    logits = [z.requires_grad_() for z in logits_of()]
    objective("haversine")(logits, targets_of([UNKNOWN] * 4)).backward()
    assert all((z.grad.abs().sum(dim=1) > 0).all() for z in logits)


def test_the_loss_on_the_tree_is_the_sum_of_those_on_siblings_along_the_path():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    leaf = objective(on="tree", weights=(0.0, 0.0, 1.0))(logits, targets)
    siblings = objective(on="siblings")(logits, targets) * 3
    torch.testing.assert_close(leaf, siblings)


def test_the_loss_on_the_tree_is_that_of_the_posterior_users_get():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    posterior = chain(TREE, logits)
    expected = [-p.gather(1, c[:, None]).mean() for p, c in zip(posterior, targets.classes.T, strict=True)]
    torch.testing.assert_close(objective(on="tree")(logits, targets), sum(expected) / 3)


@pytest.mark.parametrize("on", ["levels", "siblings", "tree"])
def test_ranks_are_counted_in_the_posterior_that_the_loss_is_meant_for(on):
    # The best middle class by its own logits is 2, whose parent is as good as excluded.
    logits = [torch.tensor([[9.0, -9.0]]), torch.tensor([[1.0, 0.0, 5.0]]), torch.tensor([[2.0, 0.0, 1.0, 0.0, 7.0]])]
    ranks = objective(on=on).ranks(logits, np.array([[0, 0, 0]]))
    assert ranks.tolist() == [[0, 1, 1] if on == "levels" else [0, 0, 0]]


def test_a_constant_added_to_a_family_changes_no_loss_on_siblings():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    moved = [logits[0], logits[1], logits[2] + torch.tensor([0.0, 7, 7, -3, -3])]
    for on in ("siblings", "tree"):
        torch.testing.assert_close(objective(on=on)(moved, targets), objective(on=on)(logits, targets))


def test_focal_with_gamma_zero_is_cross_entropy_and_with_more_turns_from_what_is_learned():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    torch.testing.assert_close(
        objective("focal", focal_gamma=0.0)(logits, targets), objective()(logits, targets), atol=1e-4, rtol=1e-4
    )
    sure = [torch.nn.functional.one_hot(c, n) * 5.0 for c, n in zip(targets.classes.T, TREE.sizes, strict=True)]
    plain, focal = objective()(sure, targets), objective("focal")(sure, targets)
    assert focal < 0.1 * plain


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_focal_has_finite_gradients_where_a_class_is_certain(gamma):
    tree = Tree((), (1,))
    logits = [torch.zeros(2, 1, requires_grad=True)]
    centers = (CENTERS[0][:1],)
    loss = Objective(tree, centers, loss_of("focal", centers, focal_gamma=gamma), "levels", (1.0,))
    loss(logits, Targets(torch.zeros(2, 1, dtype=torch.long), vectors(PLACES[:2]))).backward()
    assert torch.isfinite(logits[0].grad).all()


def test_balanced_weights_make_all_classes_weigh_alike():
    counts = np.array([1, 10, 100])
    weights = balanced_class_weights(counts).numpy()
    np.testing.assert_allclose(weights * counts, counts.sum() / 3, rtol=1e-6)


def test_class_weights_are_those_of_torch_before_its_own_normalisation():
    logits, targets = logits_of(), targets_of([0, 3, 4, 1])
    weights = (torch.ones(2), torch.ones(3), torch.tensor([1.0, 2, 3, 4, 5]))
    each = torch.nn.functional.cross_entropy(
        logits[2], targets.classes[:, 2], weight=weights[2], reduction="none"
    ).mean()
    ours = objective(weights=(0.0, 0.0, 1.0), class_weights=weights)(logits, targets)
    torch.testing.assert_close(ours, each)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "haversine"])
@pytest.mark.parametrize("on", ["levels", "siblings", "tree"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1000.0])
def test_every_loss_has_finite_gradients(loss, on, scale):
    logits = [z.requires_grad_() for z in logits_of(scale=scale)]
    value = objective(loss, on)(logits, targets_of([0, 3, UNKNOWN, 1]))
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(z.grad).all() for z in logits)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_logits_have_a_loss_in_single(kind):
    logits, targets = [z.to(kind) for z in logits_of()], targets_of([0, 3, 4, 1])
    loss = objective("haversine", "tree")(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, objective("haversine", "tree")([z.float() for z in logits], targets))


def test_mixed_pictures_are_wanted_by_their_shares():
    logits, targets = logits_of(batch=2), targets_of([0, 3])
    mixing = torch.tensor([[0.7, 0.3], [0.0, 1.0]])
    mixed = objective()(logits, Targets(targets.classes, targets.vectors, mixing))
    pure = [objective()([z[r : r + 1] for z in logits], targets_of([leaf])) for r, leaf in ((0, 0), (0, 3), (1, 3))]
    torch.testing.assert_close(mixed, (0.7 * pure[0] + 0.3 * pure[1] + pure[2]) / 2)


def test_smoothing_falls_from_800_to_100_km_and_is_that_of_pigeon_alone():
    assert default_tau_km(4) == pytest.approx((800, 400, 200, 100))
    assert default_tau_km(2) == (800, 100)
    assert default_tau_km(1) == (75,)


@pytest.mark.parametrize("tau_km", [(800.0, 400.0), (800.0, 400.0, 200.0, 100.0)])
def test_smoothing_lengths_are_one_or_one_for_each_level(tau_km):
    assert loss_of("haversine", tau_km=(300.0,)).tau_km == (300.0, 300.0, 300.0)
    with pytest.raises(ValueError, match=f"--tau-km needs one number, or one for each of 3 levels, got {len(tau_km)}"):
        loss_of("haversine", tau_km=tau_km)


def test_points_of_a_validation_are_those_that_answers_have():
    logits = logits_of(batch=6, scale=6.0)
    leaves = chain(TREE, logits)[-1]
    assert torch.equal(objective().points_deg(logits), answer_points("geoscore", leaves, CENTERS[-1]))


def test_a_part_of_targets_knows_which_photographs_have_coordinates():
    whole = targets_of([0, 1, 2])
    assert whole.part(slice(1, 3)).placed is None
    placed = Targets(whole.classes, whole.vectors, placed=torch.tensor([True, False, True])).part(slice(1, 3)).placed
    assert placed is not None
    assert placed.tolist() == [False, True]


def test_smoothing_shrinks_between_a_fifth_and_four_fifths_of_a_training():
    whole = objective("haversine", tau_end=0.25)
    for share, left in ((0.0, 1.0), (0.2, 1.0), (0.5, 0.5), (0.8, 0.25), (1.0, 0.25)):
        assert whole.at(share).loss.tau_km == pytest.approx((800 * left, 400 * left, 100 * left))
    assert whole.at(1.0).at(1.0).loss.tau_km == whole.at(1.0).loss.tau_km
    assert objective("haversine").at(0.9).loss.tau_km == (800.0, 400.0, 100.0)
    assert Haversine((torch.zeros(1, 3),), (75.0,)).at(1.0).tau_km == (75.0,)


def test_every_loss_in_the_registry_does_what_a_loss_does():
    for name in LOSSES:
        loss = loss_of(name)
        assert loss.wanted(2, targets_of([0, 3])).sum(dim=1).tolist() == pytest.approx([1, 1])
        assert loss.cost(torch.tensor([[0.5]]).log()).item() > 0
        assert set(LOSSES[name].flags) <= {field.name for field in fields(JointConfig)}


def test_a_loss_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match="there is no loss 'huber'; there are: cross_entropy, focal, haversine"):
        JointConfig(Path("d"), Path("r"), loss="huber")
