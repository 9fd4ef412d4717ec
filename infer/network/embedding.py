"""An embedding that all heads share, and heads with a hidden layer, as "Geolocalization AI" was published."""

from torch import Tensor, nn

LAST_HIDDEN = 64
"""Units of the second hidden layer of the coordinate head."""


class SharedEmbedding(nn.Module):
    """Two hidden layers behind the trunk, from which all heads read."""

    def __init__(self, width: int, size: int, dropout: float) -> None:
        """Build layers of `2 * size` and of `size` units on `width` features."""
        super().__init__()
        self.layers = nn.Sequential(*_hidden(width, 2 * size, dropout), *_hidden(2 * size, size, dropout))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, size) of (B, width) features."""
        found: Tensor = self.layers(features)
        return found


def embedding_head(size: int, outputs: int, dropout: float, coordinate: bool) -> nn.Sequential:
    """Return a head with a hidden layer of half the embedding's size; the one of a coordinate has another of 64 units."""
    half = max(1, size // 2)
    if not coordinate:
        return nn.Sequential(*_hidden(size, half, dropout), nn.Linear(half, outputs))
    last = min(LAST_HIDDEN, half)
    return nn.Sequential(*_hidden(size, half, dropout), *_hidden(half, last, dropout), nn.Linear(last, outputs))


def _hidden(width: int, units: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)
