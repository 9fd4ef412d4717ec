"""From logits to one probability for every cell of every level."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from infer.decode.greedy_rule import GreedyRule
from infer.decode.posterior import (
    FUSIONS,
    Tree,
    adaptive_top_k,
    chain,
    family_log_softmax,
    fuse,
    greedily_kept,
    greedy,
    product,
)


@st.composite
def trees(draw, deepest=4):
    """Any tree whose every class has a child, siblings side by side."""
    sizes, parents = [draw(st.integers(1, 5))], []
    for _ in range(draw(st.integers(0, deepest - 1))):
        children = draw(st.lists(st.integers(1, 4), min_size=sizes[-1], max_size=sizes[-1]))
        parents.append(torch.from_numpy(np.repeat(np.arange(sizes[-1]), children)))
        sizes.append(sum(children))
    return Tree(tuple(parents), tuple(sizes))


def logits_of(tree, number=0, batch=3, scale=4.0):
    rng = np.random.default_rng(number)
    return [torch.from_numpy(rng.normal(0, scale, (batch, size))).float() for size in tree.sizes]


def child_sums(tree, posterior, level):
    """Sum over the children of each class of a level."""
    sums = np.zeros((len(posterior[0]), tree.sizes[level]))
    np.add.at(sums.T, tree.parent_class[level].numpy(), posterior[level + 1].exp().double().numpy().T)
    return sums


big = Tree.of(build_hierarchy(QuadPartition(), np.random.default_rng(0).uniform((-60, -180), (75, 180), (40_000, 2))))


@given(trees(), st.integers(0, 99), st.sampled_from(FUSIONS))
def test_every_level_sums_to_one(tree, number, fusion):
    posterior = fuse(tree, logits_of(tree, number), (1.0,) * len(tree.sizes), fusion)
    for log_probability, size in zip(posterior, tree.sizes, strict=True):
        assert log_probability.shape == (3, size)
        torch.testing.assert_close(log_probability.exp().sum(dim=1), torch.ones(3))


@given(trees(), st.integers(0, 99), st.sampled_from([chain, product]))
def test_a_cell_has_the_sum_of_its_children_and_so_none_exceeds_its_parent(tree, number, rule):
    posterior = rule(tree, logits_of(tree, number))
    for level, parents in enumerate(tree.parent_class):
        np.testing.assert_allclose(child_sums(tree, posterior, level), posterior[level].exp().numpy(), atol=1e-5)
        assert (posterior[level + 1] <= posterior[level][:, parents] + 1e-5).all()


@given(trees(), st.integers(0, 99), st.floats(-50, 50), st.data())
def test_a_constant_added_to_one_family_changes_nothing(tree, number, constant, data):
    logits = logits_of(tree, number)
    level = data.draw(st.integers(0, len(tree.sizes) - 1))
    parents = tree.parent_class[level - 1] if level else torch.zeros(tree.sizes[0], dtype=torch.long)
    moved = [z.clone() for z in logits]
    moved[level][:, parents == data.draw(st.sampled_from(parents.tolist()))] += constant
    for own, other in zip(chain(tree, logits), chain(tree, moved), strict=True):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)


@given(trees(), st.integers(0, 99))
def test_the_chain_multiplies_softmaxes_over_siblings(tree, number):
    logits = logits_of(tree, number)
    expected = _softmax(logits[0].double().numpy())
    for level, parents in enumerate(tree.parent_class, start=1):
        z, below = logits[level].double().numpy(), np.empty((3, tree.sizes[level]))
        for parent in range(tree.sizes[level - 1]):
            own = np.flatnonzero(parents.numpy() == parent)
            below[:, own] = expected[:, [parent]] * _softmax(z[:, own])
        expected = below
    np.testing.assert_allclose(chain(tree, logits)[-1].exp().numpy(), expected, rtol=1e-4, atol=1e-7)


@given(trees(), st.integers(0, 99))
def test_the_product_of_levels_is_that_of_each_leaf_with_its_ancestors(tree, number):
    logits = [z.double().numpy() for z in logits_of(tree, number)]
    leaves = np.ones((3, tree.sizes[-1]))
    for leaf in range(tree.sizes[-1]):
        ancestor = leaf
        for level in reversed(range(len(tree.sizes))):
            leaves[:, leaf] *= _softmax(logits[level])[:, ancestor]
            ancestor = int(tree.parent_class[level - 1][ancestor]) if level else ancestor
    expected = leaves / leaves.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(product(tree, logits_of(tree, number))[-1].exp().numpy(), expected, rtol=1e-4, atol=1e-7)


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@given(trees(), st.integers(0, 199), st.sampled_from([0.5, 3.0, 12.0]))
def test_the_published_rule_is_reproduced_one_photograph_and_one_cell_at_a_time(tree, number, scale):
    logits = logits_of(tree, number, scale=scale)
    posterior = greedy(tree, logits)
    for photo in range(3):
        for level, expected in enumerate(_published([z[photo].double().numpy() for z in logits], tree)):
            np.testing.assert_allclose(posterior[level][photo].exp().numpy(), expected, rtol=1e-3, atol=1e-6)


def _published(logits, tree, thresholds=(0.85, 0.65, 0.40), numbers=(1, 2, 3, 6)):
    """The rule as its authors run it: a loop over kept parents, dictionaries of scores, a softmax over what is there."""
    probability = _softmax(logits[0][None])[0]
    answer = [probability]
    for level, parents in enumerate(tree.parent_class, start=1):
        confidence = max(probability)
        k = next((n for t, n in zip(thresholds, numbers, strict=False) if confidence >= t), numbers[-1])
        best = sorted(range(len(probability)), key=lambda c: -probability[c])[: min(k, len(probability))]
        scores = {
            child: probability[parent] * logits[level][child]
            for parent in best
            for child in range(tree.sizes[level])
            if int(parents[child]) == parent
        }
        total = sum(np.exp(score - max(scores.values())) for score in scores.values())
        below = np.zeros(tree.sizes[level])
        for child, score in scores.items():
            below[child] = np.exp(score - max(scores.values())) / total
        probability = below
        answer.append(probability)
    return answer


@given(trees(), st.integers(0, 99), st.data())
def test_other_thresholds_and_k_are_those_of_the_rule_evaluated_by_hand(tree, number, data):
    cuts = st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
    thresholds = tuple(sorted(data.draw(st.sets(cuts, max_size=4)), reverse=True))
    counts = st.lists(st.integers(1, 8), min_size=len(thresholds) + 1, max_size=len(thresholds) + 1)
    numbers = tuple(sorted(data.draw(counts)))
    logits = [z[:1] for z in logits_of(tree, number)]
    # Of two cells that are as probable to the last digit, either may be the one that is kept.
    assume(all(np.diff(np.sort(z[0].numpy())).min(initial=1) > 1e-4 for z in logits))
    posterior = fuse(tree, logits, (1.0,) * len(tree.sizes), "greedy", GreedyRule(thresholds, numbers))
    literal = _published([z[0].double().numpy() for z in logits], tree, thresholds, numbers)
    for answered, expected in zip(posterior, literal, strict=True):
        np.testing.assert_allclose(answered[0].exp().numpy(), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("thresholds", "k", "said"),
    [
        ((0.9, 0.5), (1, 2), "one number more than --greedy-thresholds"),
        ((0.5, 0.9), (1, 2, 3), "descending order"),
        ((0.9, 0.9), (1, 2, 3), "descending order"),
        ((1.5,), (1, 2), "are probabilities"),
        ((0.5,), (2, 1), "do not fall"),
        ((0.5,), (0, 1), "1 or more"),
        ((0.5,), (), "got none for 0.5"),
    ],
)
def test_a_rule_whose_lengths_or_order_do_not_fit_is_refused(thresholds, k, said):
    with pytest.raises(ValueError, match=said):
        GreedyRule(thresholds, k)


@pytest.mark.parametrize(("best", "k"), [(0.86, 1), (0.84, 2), (0.66, 2), (0.64, 3), (0.41, 3), (0.39, 6), (0.2, 6)])
def test_the_published_rule_keeps_more_cells_the_less_sure_it_is(best, k):
    rest = np.linspace(1, 0.9, 9)
    probability = np.concatenate([[best], (1 - best) * rest / rest.sum()])
    assert greedily_kept(torch.tensor(probability)[None], GreedyRule()).nonzero()[:, 1].tolist() == list(range(k))


def test_the_published_rule_keeps_all_of_fewer_cells_than_it_asks_for():
    assert greedily_kept(torch.full((2, 4), 0.25), GreedyRule()).all()


@given(trees(), st.integers(0, 99), st.sampled_from([chain, product]))
def test_nothing_is_pruned_when_all_of_the_mass_is_asked_for(tree, number, rule):
    posterior = [level[0] for level in rule(tree, logits_of(tree, number))]
    for kept, log_probability in zip(adaptive_top_k(tree, posterior, 1.0), posterior, strict=True):
        exact = log_probability.double().exp().numpy()
        np.testing.assert_array_equal(np.sort(kept.classes), np.arange(len(exact)))
        np.testing.assert_array_equal(kept.probability, exact[kept.classes])
        assert kept.cut_mass == pytest.approx(0, abs=1e-6)


@given(trees(), st.integers(0, 99), st.sampled_from(FUSIONS), st.floats(0.01, 1))
def test_the_cut_mass_is_what_the_kept_cells_lack(tree, number, fusion, mass):
    posterior = [level[0] for level in fuse(tree, logits_of(tree, number), (1.0,) * len(tree.sizes), fusion)]
    for kept in adaptive_top_k(tree, posterior, mass):
        assert len(kept.classes) == len(set(kept.classes.tolist())) > 0
        assert (np.diff(kept.probability) <= 0).all()
        assert 0 <= kept.cut_mass <= 1
        assert kept.probability.sum() + kept.cut_mass == pytest.approx(1, abs=1e-5)


@given(trees(), st.integers(0, 99), st.floats(0.05, 0.95))
def test_the_fewest_cells_that_reach_the_mass_are_kept_below_kept_parents(tree, number, mass):
    posterior = [level[0] for level in chain(tree, logits_of(tree, number))]
    above = None
    for level, kept in enumerate(adaptive_top_k(tree, posterior, mass)):
        alive = np.ones(tree.sizes[0], bool) if above is None else np.isin(tree.parent_class[level - 1].numpy(), above)
        assert alive[kept.classes].all()
        left = posterior[level].double().exp().numpy()[alive].sum()
        assert kept.probability.sum() >= mass * left - 1e-6
        further = np.flatnonzero(~np.isin(kept.classes, list(best_and_above(tree, posterior)[level])))
        assert not len(further) or kept.probability[: further[-1]].sum() <= mass * left + 1e-6
        above = kept.classes


def best_and_above(tree, posterior):
    """The best cell of each level, with those above the best of finer levels."""
    cells = [{int(level.argmax())} for level in posterior]
    for level in range(len(cells) - 1, 0, -1):
        cells[level - 1] |= {int(tree.parent_class[level - 1][cell]) for cell in cells[level]}
    return cells


@given(trees(), st.integers(0, 99), st.sampled_from(FUSIONS), st.floats(0.01, 1))
def test_the_best_cell_of_every_level_is_kept_first(tree, number, fusion, mass):
    posterior = [level[0] for level in fuse(tree, logits_of(tree, number), (1.0,) * len(tree.sizes), fusion)]
    for kept, log_probability in zip(adaptive_top_k(tree, posterior, mass), posterior, strict=True):
        assert kept.probability[0] == pytest.approx(float(log_probability.exp().max()))


def test_the_most_probable_path_is_kept_however_little_is_asked_for():
    tree = Tree((torch.tensor([0, 0, 1, 1]),), (2, 4))
    scattered = [torch.tensor([0.6, 0.4]).log(), torch.tensor([0.3, 0.3, 0.4, 1e-9]).log()]
    assert [k.classes.tolist() for k in adaptive_top_k(tree, scattered, 0.01)] == [[0, 1], [2]]
    posterior = [torch.tensor([0.6, 0.4]).log(), torch.tensor([0.5, 0.1, 0.25, 0.15]).log()]
    kept = adaptive_top_k(tree, posterior, 0.01)
    assert [k.classes.tolist() for k in kept] == [[0], [0]]
    assert [k.cut_mass for k in kept] == pytest.approx([0.4, 0.5])


def test_a_level_of_one_class_is_certain():
    tree = Tree((torch.tensor([0]), torch.tensor([0, 0])), (1, 1, 2))
    for fusion in FUSIONS:
        posterior = fuse(tree, [torch.tensor([[5.0]]), torch.tensor([[-3.0]]), torch.zeros(1, 2)], (1, 1, 1), fusion)
        assert [level.exp().tolist() for level in posterior] == [[[1.0]], [[1.0]], [[0.5, 0.5]]]


@given(trees(), st.integers(0, 99), st.sampled_from(FUSIONS))
def test_a_photograph_is_answered_alike_alone_and_among_others(tree, number, fusion):
    logits, ones = logits_of(tree, number), (1.0,) * len(tree.sizes)
    together = fuse(tree, logits, ones, fusion)
    alone = fuse(tree, [z[1:2] for z in logits], ones, fusion)
    for one, all_of_them in zip(alone, together, strict=True):
        torch.testing.assert_close(one, all_of_them[1:2])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_photograph_gets_no_posterior(fusion):
    posterior = fuse(big, [torch.empty(0, size) for size in big.sizes], (1.0,) * 4, fusion)
    assert [tuple(level.shape) for level in posterior] == [(0, size) for size in big.sizes]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_logits_of_half_precision_give_probabilities_of_single(kind, fusion):
    halves = [z.to(kind) for z in logits_of(big, scale=3.0)]
    posterior = fuse(big, halves, (1.0,) * 4, fusion)
    exact = fuse(big, [z.float() for z in halves], (1.0,) * 4, fusion)
    for level, other in zip(posterior, exact, strict=True):
        assert level.dtype == torch.float32
        torch.testing.assert_close(level, other)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_twenty_five_thousand_leaves_sum_to_one(fusion):
    assert big.sizes[-1] > 20_000
    posterior = fuse(big, logits_of(big, scale=5.0), (1.0,) * 4, fusion)
    for level in posterior:
        torch.testing.assert_close(level.double().exp().sum(dim=1), torch.ones(3).double(), atol=1e-4, rtol=0)


@given(trees(), st.sampled_from([chain, product]), st.sampled_from([0.0, 1.0, 200.0]), st.integers(0, 9))
def test_gradients_are_finite_with_ties_and_with_extreme_logits(tree, rule, scale, number):
    logits = [z.requires_grad_() for z in logits_of(tree, number, scale=scale)]
    leaf = rule(tree, logits)[-1]
    (leaf.clamp_min(-1e4)[:, 0].sum()).backward()
    assert all(torch.isfinite(z.grad).all() for z in logits)


@settings(max_examples=20)
@given(trees(deepest=3), st.sampled_from([chain, product]), st.integers(0, 99))
def test_gradients_agree_with_differences(tree, rule, number):
    logits = [z.double().requires_grad_() for z in logits_of(tree, number, batch=1, scale=1.0)]
    assert torch.autograd.gradcheck(lambda *z: tuple(rule(tree, z)), logits, atol=1e-4)


def test_a_family_of_one_is_certain_of_its_only_child():
    within = family_log_softmax(torch.tensor([[80.0, -80.0, 3.0]]), torch.tensor([0, 1, 1]), 2)
    torch.testing.assert_close(within, torch.tensor([[0.0, -83.0, 0.0]]))


def test_a_temperature_divides_the_logits_of_its_level():
    tree, temperatures = Tree((torch.tensor([0, 0, 1]),), (2, 3)), (2.0, 0.5)
    logits = logits_of(tree)
    for fusion in FUSIONS:
        warm = fuse(tree, logits, temperatures, fusion)
        divided = fuse(tree, [z / t for z, t in zip(logits, temperatures, strict=True)], (1.0, 1.0), fusion)
        for one, other in zip(warm, divided, strict=True):
            torch.testing.assert_close(one, other)


def test_a_rule_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"--fusion is one of chain, product, greedy, got 'sum'"):
        fuse(big, logits_of(big), (1.0,) * 4, "sum")


def test_the_name_that_greedy_had_is_refused_naming_greedy():
    with pytest.raises(ValueError, match=r"got 'seed'; it is now called greedy"):
        fuse(Tree((), (1,)), [torch.zeros(1, 1)], (1.0,), "seed")


def test_the_parents_of_a_tree_are_those_of_its_hierarchy():
    hierarchy = build_hierarchy(QuadPartition((1, 3)), [(48.8, 2.3), (-1.3, 36.8), (-33.9, 151.2)])
    tree = Tree.of(hierarchy)
    assert tree.sizes == (2, 3)
    assert tree.parent_class[0].tolist() == [0, 1, 1]
