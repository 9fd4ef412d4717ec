"""What an answer says of countries or labels: conformal sets, and the words of a run whose classes have no places."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from infer.decode.class_sets import class_set
from infer.prediction import Cell, ClassSet, SetMember
from infer.prepared import Prepared
from infer.wording import AT_MOST, LIKELY, class_words, either


def prediction_sets(prepared: Prepared, posterior: Sequence[Tensor]) -> dict[float, ClassSet]:
    """Return the conformal set of one photograph at each coverage asked for; an impossible coverage has none.

    Args:
        prepared: what answers.
        posterior: (classes,) log probabilities per level.
    """
    found = {}
    for coverage in prepared.options.coverage:
        chosen = None if prepared.conformal is None else prepared.conformal.choose_set(coverage)
        if chosen is not None:
            found[coverage] = _class_set(prepared, posterior, coverage, *chosen)
    return found


def _class_set(
    prepared: Prepared, posterior: Sequence[Tensor], coverage: float, level_name: str, threshold: float
) -> ClassSet:
    hierarchy = prepared.model.hierarchy
    level = hierarchy.level_index(level_name)
    probability = posterior[level].exp().double().cpu().numpy()
    classes = class_set(probability, threshold)
    # What prior knowledge excludes has no probability, and is in no set.
    classes = classes[probability[classes] > 0]
    names = np.array(hierarchy.name[hierarchy.rows(level)], dtype=object)[classes].tolist()
    shares = probability[classes].tolist()
    members = tuple(
        SetMember(name, class_words(name, level_name), float(f"{p:.6g}")) for name, p in zip(names, shares, strict=True)
    )
    return ClassSet(coverage, level_name, members, round(float(probability[classes].sum()), 6))


def label_headline(cells: Sequence[Cell], answered: bool) -> str:
    """Return the headline of an answer whose classes have no places.

    Args:
        cells: the most probable first.
        answered: whether the level is confident enough.
    """
    if not answered:
        return "Not confident enough to name a class"
    held = np.cumsum([cell.probability for cell in cells])
    names = [cell.id for cell in cells[: 1 + int((held < LIKELY - 1e-9).sum())]]
    return f"Most likely {either(names)}" if len(names) <= AT_MOST else "Could be any of several classes"
