"""Which losses of classes there are. One row makes a loss known to the commands and to their flags; nothing imports torch.

The class that a row names is made by `of(config, centers)` and does what `train.losses.ClassLoss` says.
"""

from plumbing.registry import Entry, Registry

LOSSES = Registry(
    "loss",
    {
        "cross_entropy": Entry("train.losses:CrossEntropy", "on the true class", ("label_smoothing",)),
        "focal": Entry(
            "train.losses:Focal",
            "cross-entropy that turns to what is not yet learned",
            ("focal_gamma", "label_smoothing"),
        ),
        "haversine": Entry(
            "train.losses:Haversine",
            "on classes by their distance from the true coordinate (PIGEON)",
            ("tau_km", "tau_end"),
        ),
    },
)
