"""Features of photographs for other programs: those of the network, under the paths that were given."""

import numpy as np
import pyarrow.parquet as pq
import pytest

import infer
from dataset.manifest import read_manifest
from infer.config import InferConfig
from infer.predict import main


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_predict_writes_what_the_api_gives(tiny, tiny_run, tmp_path, ending):
    photos = [tiny / path for path in read_manifest(tiny)["path"][:5]]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    path = tmp_path / f"own.{ending}"
    given = (*photos[:2], broken, *photos[2:])
    main(InferConfig(photos=given, run=tiny_run, out=tmp_path / "out", embeddings=path, device="cpu"))
    if ending == "npz":
        with np.load(path) as content:
            paths, features = content["path"].tolist(), content["features"]
    else:
        table = pq.read_table(path)
        paths, features = table["path"].to_pylist(), np.array(table["features"].to_pylist(), dtype=np.float32)
    assert paths == [str(photo) for photo in photos]
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, infer.load(tiny_run, device="cpu").embeddings(photos), rtol=1e-5, atol=1e-6)


def test_other_kinds_of_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"NAME\.npz or NAME\.parquet, got own\.csv"):
        InferConfig(photos=(tmp_path,), run=tmp_path, embeddings=tmp_path.joinpath("own.csv").relative_to(tmp_path))
