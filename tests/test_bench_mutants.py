"""The mutation tests know which tests are a module's own, and change nothing that does not run."""

import pytest

pytest.importorskip("resource", reason="mutation tests run on Linux and macOS")

from bench.mutants import AREAS, ROOT, annotation_spans, draw, modules, own_tests


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("geocells/sphere.py", ["geocells_sphere"]),
        ("infer/decode/kernels.py", ["infer_decode_density"]),
        ("dataset/pairs.py", ["dataset_degrees"]),
        ("dataset/tables/text.py", ["dataset_table_dialects", "dataset_table_rows", "dataset_tables"]),
    ],
)
def test_tests_of_a_module_are_named_for_it_or_import_it_or_are_of_its_folder(module, tests):
    assert own_tests(module) == tuple(f"tests/test_{name}.py" for name in tests)


@pytest.mark.parametrize("area", AREAS)
def test_every_module_of_an_area_has_tests(area):
    assert modules(area)
    for module in modules(area):
        assert (ROOT / module).is_file()
        assert own_tests(module)


def test_annotations_are_found_whatever_they_annotate():
    source = "x: int | None = 1 + 2\n\n\ndef f(a: 1 | 2, *, b: 3 = 4) -> 5 | 6:\n    return a + b\n"
    lines = source.splitlines()
    found = {lines[row - 1][start:stop] for (row, start), (_, stop) in annotation_spans(source)}
    assert found == {"int | None", "1 | 2", "3", "5 | 6"}


def test_more_mutants_of_a_seed_are_those_of_fewer_and_others():
    pytest.importorskip("cosmic_ray", reason="mutation tests draw by the operators of Cosmic Ray")
    few, many = draw("losses", 3, 1), draw("losses", 6, 1)
    assert many[:3] == few
    assert len(set(many)) == 6
    assert draw("losses", 6, 2) != many
