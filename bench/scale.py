"""How time, memory, disk and open files grow with the work: `python -m bench.scale --run RUN`.

Label maps of 50,000 to 5 million rows, `infer predict --bulk` on 1,000 and 10,000 photographs, an import of 20,000 pictures, and a
survey of all 65,536 cells with its page. Then an estimate for the planet, from the slope of each curve. Linux, for it reads /proc.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.fetch import TOKEN, stub
from bench.labels import draw
from bench.report import write_results
from bench.watch import Watched, watch

PLANET = 10_000_000
"""Photographs of the estimate."""


def main() -> None:
    """Measure each curve, write the results, and estimate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="calibrated run that answers")
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 500_000, 5_000_000])
    parser.add_argument("--photographs", type=int, nargs="+", default=[1_000, 10_000, 20_000])
    parser.add_argument("--pictures", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--candidates", type=int, nargs="+", default=[10_000, 100_000], help="of the survey")
    parser.add_argument("--size", type=int, default=128, help="side of the pictures in pixels")
    parser.add_argument(
        "--keep-going", type=Path, help="folder with the pictures of an earlier start, or for a later one"
    )
    given = parser.parse_args()
    given.run = given.run.resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) if given.keep_going is None else given.keep_going
        work.mkdir(parents=True, exist_ok=True)
        rows = [row for curve in CURVES for row in curve(work, given)]
    write_results("scale", [*rows, *estimates(rows)])


def row(what: str, count: int, took: Watched, out: Path, note: str = "") -> dict[str, Any]:
    mb, files = took.growth()
    return {
        "what": what,
        "count": count,
        "seconds": round(took.seconds, 1),
        "core_s": round(took.core_s, 1),
        "peak_mb": round(max(took.mb)),
        "mb_grown": round(mb, 1),
        "most_files": max(took.files),
        "files_grown": files,
        "written_mb": round(sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6, 1),
        "note": note,
    }


def of_label_maps(work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Label maps by rows."""
    for count in given.rows:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            # In a process of its own, since what this one holds counts for those that it starts.
            with get_context("spawn").Pool(1) as pool:
                pool.apply(draw, (Path(folder) / "data", count))
            took = watch("label_maps build", "--data", "data", "--run", "run", work=Path(folder))
            yield row("label_maps build", count, took, Path(folder) / "run")


def of_imports(work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Demo pictures, and a table of them imported."""
    for count in given.pictures:
        drawn = work / f"demo-{count}"
        if not (drawn / "dataset.json").is_file():
            flags = ("--images", str(count), "--size", str(given.size))
            yield row("fetch demo", count, watch("fetch demo", "--out", str(drawn), *flags), drawn)
        photos = pq.read_table(drawn / "manifest.parquet", columns=["id", "path", "latitude", "longitude"]).to_pandas()
        photos.to_csv(drawn / "table.csv", index=False)
        with tempfile.TemporaryDirectory(dir=work) as folder:
            took = watch("fetch import", str(drawn / "table.csv"), "--out", "mine", work=Path(folder))
            yield row("fetch import", len(photos), took, Path(folder) / "mine")


def of_answers(work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Answers by photographs, in bulk."""
    drawn = work / f"demo-{max(given.pictures)}"
    for count in given.photographs:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            flags = ("--split", "all", "--limit", str(count), "--bulk", "--out", "bulk", "--device", "cpu")
            took = watch("infer predict", str(drawn), "--run", str(given.run), *flags, work=Path(folder))
            yield row("infer predict --bulk", count, took, Path(folder) / "bulk")


def of_surveys(work: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A survey of all cells of a loopback stub, its plan, and the page of it."""
    os.environ["MAPILLARY_TOKEN"] = TOKEN
    for count in given.candidates:
        with tempfile.TemporaryDirectory(dir=work) as folder, stub(count, 96, Path(folder) / "drawn") as url:
            hosts = ("--graph-url", url, "--tiles-url", url, "--image-hosts", "127.0.0.1", "--tiles-per-second", "0")
            for stage in ("survey", "plan"):
                took = watch("fetch mapillary", stage, "--out", "mine", *hosts, work=Path(folder))
                yield row(f"fetch mapillary {stage}, 65,536 cells", count, took, Path(folder) / "mine")
    drawn = work / f"demo-{max(given.pictures)}"
    with tempfile.TemporaryDirectory(dir=work) as folder:
        out = Path(folder) / "out"
        out.mkdir()
        took = watch("viz coverage", "--data", str(drawn), "--out", str(out / "coverage.html"))
        yield row("viz coverage, 65,536 cells", max(given.pictures), took, out)


CURVES = (of_label_maps, of_imports, of_answers, of_surveys)


def estimates(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a planet of photographs would take, along the line through the last two points of each curve."""
    found = []
    for what in dict.fromkeys(r["what"] for r in rows):
        points = sorted((r for r in rows if r["what"] == what), key=lambda r: r["count"])[-2:]
        if len(points) < 2:
            continue
        line = {name: along(points, name) for name in ("seconds", "core_s", "peak_mb", "written_mb")}
        nothing = {"mb_grown": None, "most_files": None, "files_grown": None}
        note = f"estimate: {line['seconds'] / 3600:.1f} h, {line['written_mb'] / 1e3:.1f} GB written"
        found.append({"what": what, "count": PLANET, **line, **nothing, "note": note})
    return found


def along(points: Sequence[dict[str, Any]], name: str) -> float:
    """Return a quantity at the size of the planet, on the line through two points."""
    (x0, y0), (x1, y1) = ((float(p["count"]), float(p[name])) for p in points)
    return round(y1 + max(0.0, y1 - y0) / (x1 - x0) * (PLANET - x1), 1)


if __name__ == "__main__":
    main()
