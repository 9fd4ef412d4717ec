"""Flags that have no effect beside the others are refused, in one sentence."""

from pathlib import Path

import pytest

from fetch.config import BalanceConfig
from fetch.mapillary.config import MapillaryConfig, RecheckConfig
from fetch.sources.config import ImportConfig, IngestConfig, Osv5mConfig, PullConfig
from fetch.sources.imports import run as do_import
from geocells.config import LandConfig

OUT = Path("out")


@pytest.mark.parametrize(
    ("config", "flags", "said"),
    [
        (BalanceConfig, {"data": OUT, "out": OUT, "target": "country", "level": 3}, "--level 3 has no effect"),
        (
            BalanceConfig,
            {"data": OUT, "out": OUT, "target": "cell", "keep_short": True, "slack": 0.5},
            "--slack 0.5 has no effect with --keep-short",
        ),
        (IngestConfig, {"test_share": 0, "calibration_share": 0, "split": "cell"}, "--split cell has no effect"),
        (Osv5mConfig, {"out": OUT, "parts": ("00",), "test_share": 0.3}, "--test-share 0.3 has no effect"),
        (
            Osv5mConfig,
            {"out": OUT, "parts": ("00",), "test_parts": (), "split_from": "groups"},
            "--split-from groups has no effect",
        ),
        (
            PullConfig,
            {"subset": OUT, "source": "some/folder", "out": OUT, "requests_per_second": 3},
            "--requests-per-second 3 has no effect with --from some/folder",
        ),
        (MapillaryConfig, {"out": OUT, "stage": "run", "survey_days": 3}, "--survey-days 3 has no effect"),
        (MapillaryConfig, {"out": OUT, "stage": "survey", "fill_tiles": 9}, "--fill-tiles 9 has no effect"),
        (MapillaryConfig, {"out": OUT, "stage": "verify", "dry_run": True}, "--dry-run has no effect"),
        (LandConfig, {"cache": OUT}, "--cache out has no effect without --download"),
        (LandConfig, {"sha256": "0f"}, "--sha256 0f has no effect without --download"),
    ],
)
def test_a_flag_without_effect_is_refused(config, flags, said):
    with pytest.raises(ValueError, match=said):
        config(**flags)


@pytest.mark.parametrize("flags", [{"only": OUT}, {"images": OUT}, {"address_column": "url"}, {"threads": 3}], ids=str)
def test_flags_of_tables_and_of_downloads_are_refused_on_a_folder(tmp_path, flags):
    with pytest.raises(ValueError, match=r"has no effect on .*, which is a folder and not a table: leave --"):
        do_import(ImportConfig(source=tmp_path, out=tmp_path / "out", **flags))


def test_flags_of_downloads_are_refused_on_a_table_without_addresses(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("filename,lat,lon\na.jpg,48,2\n")
    with pytest.raises(
        ValueError, match=r"--max-megabytes 9 has no effect on .*a\.csv, which has no column of addresses"
    ):
        do_import(ImportConfig(source=table, out=tmp_path / "out", max_megabytes=9))


def test_recheck_has_no_flags_of_tiles_and_pictures():
    assert not {"tiles_url", "tiles_per_day", "tiles_per_second", "image_hosts"} & set(
        RecheckConfig.__dataclass_fields__
    )
