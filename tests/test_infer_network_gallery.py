"""A gallery's rows add up to the classes of every level."""

import pytest
import torch

from infer.network.gallery import Gallery, GallerySpec, Projection

CLASSES = {"coarse": 2, "middle": 4, "fine": 7}
FINE = torch.tensor([0, 0, 1, 2, 3, 3, 3, 4, 5, 6, 6])
MIDDLE = torch.tensor([0, 0, 1, 1, 2, 3, 3])
COARSE = torch.tensor([0, 0, 1, 1])


def gallery(**flags) -> Gallery:
    torch.manual_seed(1)
    made = Gallery(GallerySpec(len(FINE), 5, **flags), CLASSES)
    made.rows.copy_(torch.randn(len(FINE), 5))
    # So far apart that one highest logit for all classes would leave others with nothing.
    made.log_scale.fill_(5.0)
    if made.bias is not None:
        made.bias.copy_(torch.randn(len(FINE)))
    made.place({"fine": FINE, "middle": MIDDLE[FINE], "coarse": COARSE[MIDDLE[FINE]]})
    return made


@pytest.mark.parametrize("flags", [{}, {"normalise": False}, {"normalise": False, "bias": True}])
def test_the_logit_of_a_class_is_the_log_sum_exp_of_its_rows_at_every_level(flags):
    made, features = gallery(**flags), torch.randn(3, 5)
    seen = torch.nn.functional.normalize(features, dim=1) if flags.get("normalise", True) else features
    rows = made.log_scale.exp() * seen @ made.rows.T + (0 if made.bias is None else made.bias)
    answered = made(features)
    assert list(answered) == list(CLASSES)
    for level, of in (("fine", FINE), ("middle", MIDDLE[FINE]), ("coarse", COARSE[MIDDLE[FINE]])):
        expected = torch.stack([rows[:, of == k].logsumexp(dim=1) for k in range(CLASSES[level])], dim=1)
        torch.testing.assert_close(answered[level], expected, rtol=1e-5, atol=1e-4)


def test_rows_of_one_class_that_do_not_lie_side_by_side_are_refused():
    made = Gallery(GallerySpec(3, 5), {"fine": 2})
    with pytest.raises(ValueError, match="rows of fine are not ordered by class"):
        made.place({"fine": torch.tensor([0, 1, 0])})


def test_half_precision_around_it_changes_no_logit():
    made, features = gallery(), torch.randn(3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = made(features)
    for level, logits in made(features).items():
        assert torch.equal(reduced[level], logits)


def test_branches_of_a_projection_lie_side_by_side():
    made = Projection(((("linear", 4, 3), ("relu",)), (("layer_norm", 4), ("linear", 4, 2))))
    features = torch.randn(6, 4)
    assert made.width == 5
    expected = torch.cat([branch(features) for branch in made.branches], dim=1)
    assert torch.equal(made(features), expected)


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no layer 'swish'"):
        Projection(((("linear", 2, 2), ("swish",)),))
