"""Networks: from pixels to logits of every level, or to a coordinate.

Read `transform` (a picture to pixels), `trunks` (pixels to features), `network` (a trunk and its heads), `output` (what they
say), `weights` (on disk), `coordinate_head` (how a coordinate is read), `sphere` (points as tensors), `refiner` (from a cell
to a coordinate inside it) and `devices` (where it all computes, and in which precision).
"""
