"""From logits to one probability for every cell of every level.

A tree posterior is one (B, classes) tensor of natural-log probabilities per level, coarse to fine. Each level sums to
one, and a cell has the sum of its children.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import UNKNOWN, Hierarchy
from infer.config import RENAMED_FUSIONS
from infer.decode.greedy_rule import PUBLISHED_RULE, GreedyRule

FUSIONS = ("chain", "product", "greedy")


@dataclass(frozen=True, eq=False)
class Tree:
    """The parents of a hierarchy as tensors.

    Attributes:
        parent_class: for each level below the coarsest, the (classes,) class of the parent in the level above.
        sizes: classes of each level.
    """

    parent_class: tuple[Tensor, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, hierarchy: Hierarchy, device: str | torch.device = "cpu") -> "Tree":
        """Return the tree of a hierarchy on a device."""
        parents = [torch.from_numpy(hierarchy.parent_class(d)).to(device) for d in range(1, hierarchy.depth)]
        return cls(tuple(parents), tuple(hierarchy.sizes()))


def family_log_softmax(logits: Tensor, parent_class: Tensor, parents: int) -> Tensor:
    """Return the log softmax of (B, classes) logits over the siblings of each class."""
    index = parent_class.expand(len(logits), -1)
    highest = logits.new_full((len(logits), parents), -torch.inf).scatter_reduce(1, index, logits.detach(), "amax")
    shifted = logits - highest.index_select(1, parent_class)
    totals = logits.new_zeros(len(logits), parents).index_add(1, parent_class, shifted.exp())
    return shifted - totals.log().index_select(1, parent_class)


def chain(tree: Tree, logits: Sequence[Tensor]) -> list[Tensor]:
    """Return the exact posterior: log p(cell) = log p(parent) + log softmax over the cell's siblings.

    Args:
        tree: the hierarchy.
        logits: (B, classes) per level, each divided by its temperature.
    """
    posterior = [torch.log_softmax(logits[0], dim=1)]
    for level, parents in enumerate(tree.parent_class, start=1):
        within = family_log_softmax(logits[level], parents, tree.sizes[level - 1])
        posterior.append(posterior[-1].index_select(1, parents) + within)
    return posterior


def product(tree: Tree, logits: Sequence[Tensor]) -> list[Tensor]:
    """Return the normalised product of the levels' own posteriors on the leaves, summed up the tree.

    Source: the individual scene networks of Müller-Budack et al. 2018, section 3.3.
    """
    along = torch.log_softmax(logits[0], dim=1)
    for level, parents in enumerate(tree.parent_class, start=1):
        along = along.index_select(1, parents) + torch.log_softmax(logits[level], dim=1)
    return sum_up(tree, torch.log_softmax(along, dim=1))


def sum_up(tree: Tree, log_leaf: Tensor) -> list[Tensor]:
    """Return the tree posterior that has these (B, leaves) log probabilities at its finest level."""
    posterior = [log_leaf]
    for parents, size in zip(reversed(tree.parent_class), reversed(tree.sizes[:-1]), strict=True):
        posterior.insert(0, _sum_children(posterior[0], parents, size))
    return posterior


def _sum_children(log_probability: Tensor, parent_class: Tensor, parents: int) -> Tensor:
    """Return the log of the sum over the children of each parent."""
    index = parent_class.expand(len(log_probability), -1)
    highest = log_probability.new_full((len(log_probability), parents), -torch.inf)
    highest = highest.scatter_reduce(1, index, log_probability, "amax").clamp_min(-1e30)
    shares = (log_probability - highest.index_select(1, parent_class)).exp()
    return highest + highest.new_zeros(highest.shape).index_add(1, parent_class, shares).log()


def greedy(tree: Tree, logits: Sequence[Tensor], rule: GreedyRule = PUBLISHED_RULE) -> list[Tensor]:
    """Return the greedy rule: the children of the k best cells compete by parent probability times logit.

    As published, k is 1, 2, 3 or 6 for a best probability of at least 0.85, 0.65, 0.40 or less. The rule multiplies logits
    by probabilities, which inverts the order of negative logits; it is here for comparison. Cells cut have
    probability zero, so a level need not agree with the next.

    Args:
        tree: the hierarchy.
        logits: (B, classes) per level, each divided by its temperature.
        rule: its thresholds and numbers of cells; the published ones when left out.
    """
    posterior = [torch.log_softmax(logits[0], dim=1)]
    for level, parents in enumerate(tree.parent_class, start=1):
        above = posterior[-1].exp()
        kept = greedily_kept(above, rule)
        mass = torch.where(kept, above, 0).index_select(1, parents)
        masked = (mass * logits[level]).masked_fill(~kept.index_select(1, parents), -torch.inf)
        posterior.append(torch.log_softmax(masked, dim=1))
    return posterior


def greedily_kept(probability: Tensor, rule: GreedyRule) -> Tensor:
    """Mark the cells that the greedy rule keeps of (B, classes) probabilities, all where there are fewer than k."""
    best = probability.amax(dim=1)
    k = torch.full_like(best, rule.k[-1], dtype=torch.long)
    for threshold, count in zip(reversed(rule.thresholds), reversed(rule.k[:-1]), strict=True):
        k = torch.where(best >= threshold, count, k)
    rank = probability.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank < k[:, None]


def fuse(
    tree: Tree, logits: Sequence[Tensor], temperatures: Sequence[float], fusion: str, rule: GreedyRule = PUBLISHED_RULE
) -> list[Tensor]:
    """Return the tree posterior of (B, classes) logits per level by the named rule.

    Args:
        tree: the hierarchy.
        logits: (B, classes) per level.
        temperatures: of each level.
        fusion: one of FUSIONS.
        rule: numbers of the greedy rule; the published ones when left out.

    Raises:
        ValueError: there is no such rule.
    """
    rules: dict[str, Callable[[Tree, Sequence[Tensor]], list[Tensor]]] = {
        "chain": chain,
        "product": product,
        "greedy": partial(greedy, rule=rule),
    }
    if fusion not in rules:
        now = f"; it is now called {RENAMED_FUSIONS[fusion]}" if fusion in RENAMED_FUSIONS else ""
        raise ValueError(f"--fusion is one of {', '.join(FUSIONS)}, got {fusion!r}{now}")
    # Half precision cannot tell apart leaves of a large tree, so probabilities are always computed in single.
    # The floor keeps a class that is never to win (of an imported network) finite where half precision gave -inf.
    return rules[fusion](tree, [z.float().clamp_min(-1e30) / t for z, t in zip(logits, temperatures, strict=True)])


@dataclass(frozen=True, eq=False)
class KeptCells:
    """The cells of one level that an adaptive search kept.

    Attributes:
        classes: most probable first.
        probability: of each.
        cut_mass: the probability at this level outside all kept cells, 0 to 1.
    """

    classes: np.ndarray
    probability: np.ndarray
    cut_mass: float


def likeliest(log_probability: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return, of (B, classes) log probabilities of a level, the (B,) probabilities of the best cells, and their classes."""
    best, cell = log_probability.max(dim=1)
    return best.double().exp().cpu().numpy(), cell.cpu().numpy()


def class_ranks(scores: list[Tensor], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many other classes score as high as the true one, per photograph and level.

    Args:
        scores: (B, classes) per level: logits or log probabilities.
        classes: (B, levels) true classes.

    Returns:
        (B, levels) ranks from 0; the number of classes where the true one is UNKNOWN.
    """
    columns = []
    for score, true in zip(scores, torch.from_numpy(classes).to(scores[0].device).T, strict=True):
        own = score.gather(1, true.clamp(min=0)[:, None])
        # Ties count against it: a network that scores all classes alike, or answers NaN, knows nothing.
        columns.append(torch.where(true == UNKNOWN, score.shape[1], (~(score < own)).sum(dim=1) - 1))
    return torch.stack(columns, dim=1).cpu().numpy()


def adaptive_top_k(tree: Tree, posterior: Sequence[Tensor], mass: float) -> list[KeptCells]:
    """Walk down one photograph's tree and keep, per level, the fewest cells that hold a share of what is left.

    The best cell of each level is kept whatever its parent's rank, and so are the cells above it.

    Args:
        tree: the hierarchy.
        posterior: (classes,) log probabilities per level.
        mass: in (0, 1], the share of the candidates' probability that the kept cells must reach; 1 keeps everything.
    """
    kept: list[KeptCells] = []
    best = _best_cells(tree, posterior)
    alive = np.ones(tree.sizes[0], dtype=bool)
    for level, log_probability in enumerate(posterior):
        if level:
            above = np.zeros(tree.sizes[level - 1], dtype=bool)
            above[kept[-1].classes] = True
            alive = above[tree.parent_class[level - 1].cpu().numpy()]
        probability = np.where(alive, log_probability.double().exp().cpu().numpy(), 0.0)
        order = np.argsort(-probability, kind="stable")[: int(alive.sum())]
        reached = np.cumsum(probability[order])
        # The tolerance is that of single-precision sums over thousands of cells.
        enough = 1 + int(np.searchsorted(reached, mass * reached[-1] - 1e-9)) if mass < 1 else len(order)
        chosen = np.concatenate([order[:enough], order[enough:][np.isin(order[enough:], list(best[level]))]])
        kept.append(KeptCells(chosen, probability[chosen], max(0.0, 1.0 - float(probability[chosen].sum()))))
    return kept


def _best_cells(tree: Tree, posterior: Sequence[Tensor]) -> list[set[int]]:
    """Return per level the class that is the best of it, and those above the best of finer levels."""
    best = [{int(log_probability.argmax())} for log_probability in posterior]
    for level in range(len(best) - 1, 0, -1):
        best[level - 1] |= {int(tree.parent_class[level - 1][cell]) for cell in best[level]}
    return best
