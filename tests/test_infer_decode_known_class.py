import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import infer
from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from infer.decode.known_class import know_class
from infer.decode.posterior import Tree, chain
from infer.decode.prior import make_prior, restrict

PLACES = [(48.86, 2.35), (52.5, 13.4), (-33.87, 151.21), (40.71, -74.01), (-18.14, 178.44), (-16.5, -179.9)]
WORLD = build_hierarchy(QuadPartition((1, 3, 8)), PLACES)
TREE = Tree.of(WORLD)


def class_names(level):
    return [f"{WORLD.level_names[level]}={name}" for name in WORLD.name[WORLD.rows(level)]]


@settings(max_examples=15)
@given(st.sampled_from(range(3)), st.randoms(use_true_random=False))
def test_known_classes_leave_their_own_leaves_whole_and_no_others(level, random):
    texts = random.sample(class_names(level), random.randint(1, len(class_names(level))))
    leaf = know_class(None, WORLD, texts).leaf
    true = WORLD.classes(PLACES)
    named = {class_names(level).index(text) for text in texts}
    for row in true:
        assert leaf[row[-1]] == (1 if row[level] in named else 0)


def test_the_posterior_of_a_known_class_is_what_the_network_said_of_its_leaves_divided_by_their_sum():
    generator = torch.Generator().manual_seed(0)
    posterior = chain(TREE, [3 * torch.randn(2, size, generator=generator) for size in WORLD.sizes()])
    name = class_names(0)[0]
    prior = know_class(None, WORLD, [name])
    told, inside = restrict(TREE, posterior, prior)
    own = prior.leaf > 0
    plain = posterior[-1].exp().numpy()
    assert inside == pytest.approx(plain[:, own].sum(axis=1))
    assert told[-1].exp().numpy()[:, own] == pytest.approx(plain[:, own] / plain[:, own].sum(axis=1, keepdims=True))
    assert told[0].exp().numpy()[:, 0] == pytest.approx(1)


def test_what_else_is_known_holds_too_and_both_are_said():
    fiji = class_names(0)[WORLD.classes([(-18.14, 178.44)])[0, 0]]
    prior = know_class(make_prior(WORLD, ["FJ"], []), WORLD, [fiji])
    assert prior.words == f"within FJ known to be {fiji}"
    assert prior.inside(np.array([(-18.14, 178.44), (-16.5, -179.9), (-33.87, 151.21)])).tolist() == [
        True,
        WORLD.classes([(-16.5, -179.9)])[0, 0] == WORLD.classes([(-18.14, 178.44)])[0, 0],
        False,
    ]
    paris = class_names(0)[WORLD.classes([(48.86, 2.35)])[0, 0]]
    with pytest.raises(ValueError, match="nothing is left of both"):
        know_class(make_prior(WORLD, ["AU"], []), WORLD, [paris])


@pytest.mark.parametrize(
    "texts, said",
    [
        (["L1"], r"--known-class is LEVEL=CLASS, such as L1=0, got 'L1'"),
        (["L2=0"], r"--known-class L2=0: there is no level 'L2'; it is L1, L3, L8"),
        (["L1=9"], r"--known-class L1=9: L1 has no class '9' with training photographs; it is 0, 1"),
        (["L1=0", "L3=0/3/0"], r"takes classes of one level"),
    ],
)
def test_what_names_no_class_is_refused_with_those_there_are(texts, said):
    with pytest.raises(ValueError, match=said):
        know_class(None, WORLD, texts)


def test_a_predictor_answers_inside_the_class_that_it_is_told(calibrated, tiny):
    predictor = infer.load(calibrated)
    hierarchy = predictor.model.hierarchy
    level = hierarchy.level_names[0]
    picture = next((tiny / "images").rglob("*.*"))
    for name in hierarchy.name[hierarchy.rows(0)]:
        answer = predictor.predict(picture, known_class=f"{level}={name}")
        assert answer.levels[level].best.id == name
        assert hierarchy.classes([answer.point])[0, 0] == hierarchy.name[hierarchy.rows(0)].index(name)
