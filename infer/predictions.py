"""Predictions of many images, as they are read."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from infer.prediction import Prediction


class Predictions(Iterable[Prediction]):
    """Predictions of many images, in order, computed as they are read.

    Those of a list or tuple of images are kept and can be read again, counted and indexed. Those of any other iterable are
    passed on and forgotten, in constant memory; they can be read once.

    Example:
        >>> many = model.predict([photo, photo])
        >>> len(many), many[0].point == many[1].point
        (2, True)
        >>> list(many.to_dataframe()["headline"]) == [p.headline for p in many]
        True
    """

    def __init__(self, source: Iterator[Prediction], kept: bool) -> None:
        """Wrap a stream; `kept` says whether its predictions stay."""
        self._source, self._kept = source, kept
        self._read: list[Prediction] = []
        self._finished = False

    def __repr__(self) -> str:
        """Return how many were read so far."""
        kept = f"{len(self._read)} read" if self._kept else "a stream"
        return f"<Predictions: {kept}; list(predictions) or predictions.to_dataframe() reads all>"

    def __iter__(self) -> Iterator[Prediction]:
        """Yield the predictions in the order of the images.

        Raises:
            ValueError: those of a stream were read before.
        """
        if self._finished and not self._kept:
            raise ValueError(
                "these predictions of a stream were read once and are gone: keep them, as in list(predictions)"
            )
        yield from self._read
        for prediction in self._source:
            if self._kept:
                self._read.append(prediction)
            yield prediction
        self._finished = True

    def __len__(self) -> int:
        """Return how many there are, of a list or tuple of images.

        Raises:
            TypeError: they are those of a stream.
        """
        if not self._kept:
            raise TypeError("the predictions of a stream have no length: make a list of them")
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Prediction:
        """Return one prediction of a list or tuple of images."""
        if not self._kept:
            raise TypeError("the predictions of a stream have no index: make a list of them")
        return [prediction for prediction in self][index]  # noqa: C416 (list() would ask for the length first)

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row for each prediction, with the columns of predictions.csv."""
        return pd.DataFrame([prediction.to_row() for prediction in self])

    def to_geojson(self) -> dict[str, Any]:
        """Return the points and regions of all predictions as one GeoJSON feature collection."""
        return {"type": "FeatureCollection", "features": [f for p in self for f in p.to_geojson()["features"]]}
