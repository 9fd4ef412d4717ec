"""Tiles: which lie where, and that their points are read as the SDK reads them, which must neither write nor print."""

import json
import subprocess
import sys
from pathlib import Path

import mapbox_vector_tile
import mercantile
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fetch.client import Answer, Retry
from fetch.mapillary.config import ServiceConfig
from fetch.mapillary.sdk import decode, image_address, tile_address
from fetch.mapillary.tiles import (
    check_tile,
    overview_pixels,
    overview_tiles,
    pixel_cells,
    place_deg,
    read_points,
    tile_xy,
)
from fetch.mapillary.transport import Transport
from geocells import grid
from tests.mapillary_stub import TOKEN, Stub, World

ROOT = Path(__file__).parents[1]
places = st.tuples(st.floats(-85, 85), st.floats(-180, 179.999))
pictures = st.tuples(
    st.integers(0, 4095), st.integers(0, 4095), st.integers(1, 2**53), st.text("abz09", max_size=5), st.booleans()
)


def tile_of(points, layer="image"):
    features = [
        {
            "geometry": f"POINT({x} {y})",
            "properties": {"id": i, "sequence_id": s, "captured_at": 7 * i % 10**12, "is_pano": p},
        }
        for x, y, i, s, p in points
    ]
    return mapbox_vector_tile.encode(
        [{"name": layer, "features": features}], default_options={"y_coord_down": True, "extents": 4096}
    )


@given(st.lists(pictures, max_size=30))
def test_points_are_those_that_the_decoder_of_the_sdk_finds(drawn):
    z, x, y = 14, 8300, 5636
    body = tile_of(drawn)
    points = read_points(body, "image")
    found = decode(body, z, x, y, "image") if drawn else []
    assert points.image.tolist() == [f["properties"]["id"] for f in found]
    assert points.sequence.tolist() == [f["properties"]["sequence_id"] for f in found]
    assert points.captured_ms.tolist() == [f["properties"]["captured_at"] for f in found]
    assert points.is_pano.tolist() == [f["properties"]["is_pano"] for f in found]
    theirs = np.array([f["geometry"]["coordinates"][::-1] for f in found]).reshape(-1, 2)
    np.testing.assert_allclose(place_deg(x + points.xy[:, 0], y + points.xy[:, 1], z), theirs, atol=1e-9)


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html>", b'{"error":{}}', tile_of([(1, 1, 1, "s", False)])[:-9]])
def test_what_is_no_whole_tile_is_asked_for_again(body):
    with pytest.raises(Retry):
        check_tile(Answer(200, body))


def test_an_empty_tile_has_no_points():
    assert check_tile(Answer(200, b"")) == b""
    assert len(read_points(b"", "overview").image) == 0


@given(places, st.integers(0, 14))
def test_tiles_are_those_of_mercantile(place, zoom):
    lat, lon = place
    assume(abs(lat) > 1e-6)  # mercantile moves places that all but touch an edge.
    assert tuple(tile_xy(place, zoom)) == mercantile.tile(lon, lat, zoom)[:2]


@given(places)
def test_the_survey_of_a_cell_has_the_tile_of_every_place_in_it(place):
    tile = (5, *tile_xy(place, 5).tolist())
    assert tile in overview_tiles(np.array([grid.encode(place, 8)]))


@given(places)
def test_a_pixel_touches_the_cell_of_every_place_in_it(place):
    pixel = tile_xy(place, 13)
    middle, ends = pixel_cells(pixel[None])
    assert grid.encode(place, 8) in ends
    assert middle[0] in ends


def test_the_survey_of_the_planet_is_a_thousand_tiles():
    assert len(overview_tiles(np.arange(4**8))) == 1024


def test_a_pixel_of_the_survey_is_a_tile_of_zoom_13():
    body = tile_of([(16 * 200 + 7, 16 * 30 + 7, 1, "s", False)], "overview")
    assert overview_pixels(read_points(body, "overview"), 16, 11).tolist() == [[16 * 256 + 200, 11 * 256 + 30]]


def test_addresses_are_those_of_the_sdk_at_the_base_of_the_flags():
    assert tile_address("overview", 5, 16, 11) == "https://tiles.mapillary.com/maps/vtp/mly1_public/2/5/16/11/"
    assert tile_address("image", 14, 1, 2, "http://127.0.0.1:9/") == "http://127.0.0.1:9/maps/vtp/mly1_public/2/14/1/2/"
    assert image_address(33, "http://127.0.0.1:9") == "http://127.0.0.1:9/33"


@pytest.mark.slow
def test_importing_the_sdk_writes_nothing_and_prints_nothing():
    code = (
        "import json, logging, pathlib, builtins, os; wrote = []; real = builtins.open; made = os.makedirs\n"
        "builtins.open = lambda f, mode='r', *a, **k: (wrote.append(str(f)) if set(mode) & set('wax+') else None, "
        "real(f, mode, *a, **k))[1]\n"
        "os.makedirs = lambda p, *a, **k: (wrote.append(str(p)), made(p, *a, **k))[1]\n"
        "from fetch.mapillary.sdk import sdk; sdk('mapillary'); sdk('mapillary.interface')\n"
        "null = logging.NullHandler; names = list(logging.root.manager.loggerDict)\n"
        "handlers = [n for n in names if any(type(h) is not null for h in logging.getLogger(n).handlers)]\n"
        "import sys; sys.stderr.write(json.dumps([wrote, handlers]))"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert json.loads(done.stderr) == [[], []]


def test_tiles_are_asked_for_with_tries_and_without_the_token_in_the_address(capsys):
    world = World(0, 300, pano_share=0.5)
    with Stub(world) as stub:
        stub.scripted = ["500", "drop", "429-after"]
        config = ServiceConfig(
            graph_url=stub.url, tiles_url=stub.url, requests_per_second=0, tiles_per_second=0, backoff_s=0.01
        )
        transport = Transport(config, TOKEN)
        place = tuple(world.latlon[0])
        for zoom, layer in ((5, "overview"), (14, "image")):
            x, y = tile_xy(place, zoom).tolist()
            body = transport.fetch("tiles", tile_address(layer, zoom, x, y, stub.url), check_tile)
            found = read_points(body, layer).image.tolist()
            assert int(world.id[0]) in found or zoom == 5
            assert found == [feature["properties"]["id"] for feature in decode(body, zoom, x, y, layer)]
        transport.close()
    assert len(stub.log) == 5
    assert stub.wrong == []
    assert TOKEN not in str(stub.log)
    assert capsys.readouterr().out == ""
