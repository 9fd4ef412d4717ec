import logging
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from geocells import make_outlines as module
from geocells.config import OutlinesConfig
from geocells.country_outlines import country_outlines, unpack
from geocells.make_outlines import make_outlines
from geocells.outlines import area_km2


def write(path: Path, rows: list[dict], boxes: list[tuple[float, float, float, float]]) -> Path:
    geopandas.GeoDataFrame(rows, geometry=[shapely.box(*box) for box in boxes], crs="EPSG:4326").to_file(path)
    return path


def read(path: Path) -> dict[str, shapely.Geometry]:
    import io
    import lzma

    with np.load(io.BytesIO(lzma.decompress(path.read_bytes())), allow_pickle=False) as table:
        return unpack({name: table[name] for name in table.files})


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """France with Réunion, and Spain around Gibraltar, as Natural Earth has them: in boxes."""
    folder = tmp_path_factory.mktemp("outlines")
    countries = write(
        folder / "countries.gpkg",
        [{"ADM0_A3": "FRA", "ISO_A2": "-99"}, {"ADM0_A3": "FRA", "ISO_A2": "-99"}, {"ADM0_A3": "ESP", "ISO_A2": "ES"}],
        [(0, 43, 7, 50), (55.2, -21.4, 55.8, -20.9), (-8, 36, -1, 43)],
    )
    regions = write(
        folder / "regions.gpkg",
        [
            {"iso_a3": "FRA", "name": "La Réunion"},
            {"iso_a3": "GIB", "name": "Gibraltar"},
            {"iso_a3": "FRA", "name": "Mayotte"},
        ],
        [(55.25, -21.35, 55.85, -20.85), (-5.36, 36.11, -5.34, 36.14), (45.04, -13.0, 45.3, -12.6)],
    )
    land = write(folder / "land.gpkg", [{"name": "Malta"}], [(14.18, 35.8, 14.58, 36.08)])
    assert make_outlines(OutlinesConfig(countries, regions, (land,), tolerance_deg=0, out=folder / "out.npz.xz")) == 0
    return read(folder / "out.npz.xz")


def holders(built, lat, lon):
    return [code for code, outline in built.items() if shapely.contains_xy(outline, lon, lat)]


@pytest.mark.parametrize(
    "lat, lon, code",
    [(47, 2, "FR"), (-21.1, 55.5, "RE"), (-12.8, 45.2, "YT"), (36.12, -5.35, "GI"), (40, -4, "ES"), (35.9, 14.4, "MT")],
)
def test_a_place_has_the_code_that_iso_gives_it(built, lat, lon, code):
    assert holders(built, lat, lon) == [code]


def test_an_overseas_island_keeps_the_outline_of_the_coarser_scale(built):
    assert shapely.equals(built["RE"], shapely.box(55.2, -21.4, 55.8, -20.9))


def test_codes_are_sorted(built):
    assert list(built) == sorted(built)


@pytest.mark.slow
def test_the_shipped_outlines_are_those_of_natural_earth(shared_data, tmp_path, caplog):
    folder, out = shared_data / "naturalearth", tmp_path / "out.npz.xz"
    land = (folder / "ne_10m_land.zip", folder / "ne_10m_minor_islands.zip")
    countries, regions = folder / "ne_50m_admin_0_countries.zip", folder / "ne_10m_admin_1_states_provinces.zip"
    with caplog.at_level(logging.INFO, logger=module.__name__):
        make_outlines(OutlinesConfig(countries, regions, land, out=out))
    assert "250 countries" in caplog.text
    made = read(out)
    assert list(made) == list(country_outlines())
    ours, theirs = (area_km2(np.array(list(each.values()))) for each in (made, country_outlines()))
    assert ours == pytest.approx(theirs, rel=1e-3, abs=0.1)
