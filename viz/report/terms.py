"""The words of a report, each explained in a line; docs/glossary.md has more of each."""

from html import escape

TERMS = {
    "Baseline": "an answer that needs no network: a random training place, or one fixed place for all photographs.",
    "Class": "a cell, country or label that the network can answer, because it has training photographs.",
    "Class balance": "how evenly training photographs are spread over classes; rare classes are learned worse.",
    "Clue oracle": "a reader of the demo planet that knows which clues a picture shows: the ceiling for a network there.",
    "Conformal prediction region": "the smallest area that holds the true place with a stated coverage, such as 90 %.",
    "Confidence": "the calibrated chance that the best cell of a level is the right one.",
    "Confusion matrix": "how many photographs of each true class (row) were answered as each class (column).",
    "Coverage": "the share of groups whose true place lies in the region.",
    "Expected calibration error": "the mean gap between confidence and the share that is right, over 15 bins; 0 is best.",
    "F1": "the harmonic mean of precision and recall; macro F1 is its plain mean over classes.",
    "Fusion": "how the levels become one posterior: by the chain rule, as a product, or by the greedy published rule.",
    "GeoScore": "5,000 points for an exact answer, 4,373 at 200 km, 937 at 2,500 km; the mean over photographs.",
    "Groups (leakage groups)": "photographs of one journey, place or creator, which count as one and are in one split.",
    "Interval": "95 % cluster bootstrap: where the figure would lie if other groups of photographs had been drawn.",
    "Level": "one layer of the tree of cells, from coarse (L1) to fine (L8).",
    "Median error": "half of the answers are nearer than this to the true place, half are farther.",
    "NLL": "negative log likelihood of the true cells; lower means better probabilities.",
    "Partition": "the way in which the world is divided into cells.",
    "Precision": "of the photographs answered as a class, the share that is of it.",
    "Recall": "of the photographs of a class, the share that is answered as it.",
    "Reliability diagram": "stated probability against how often it is right; on the diagonal the two agree.",
    "Temperature": "a number that divides a level's outputs; above 1 it makes an overconfident network more careful.",
    "Top-k": "the share of photographs whose true class is among the k best answers.",
}


def terms(*names: str) -> str:
    """Return the explanations of some terms as HTML, folded, for the foot of a section.

    Raises:
        KeyError: a term is not in `TERMS`.
    """
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(TERMS[name])}</dd>" for name in names)
    return f'<details class="terms"><summary>What these words mean</summary><dl>{items}</dl></details>'
