import pytest

from infer.evaluate.intervals import with_true_intervals
from infer.evaluate.verdict import verdict


def figure(value, spread=0.1):
    return {"value": value, "low": value * (1 - spread), "high": value * (1 + spread)}


def report(own, fixed, **more):
    answers = {
        name: {"geoscore": figure(score), "median_km": figure(9000 - score)}
        for name, score in (("model", own), ("one place", fixed))
    }
    return {"photographs": 1234, "groups": 99, "answers": answers, **more}


@pytest.mark.parametrize(
    ("own", "fixed", "headline"),
    [
        (2000, 1000, "Twice as good as one fixed answer"),
        (2734, 544, "Five times as good as one fixed answer"),
        (2200, 1000, "2.2 times as good as one fixed answer"),
        (4800, 300, "16 times as good as one fixed answer"),
        (1000, 1000, "No better than one fixed answer, as far as these photographs can tell"),
        (1100, 1000, "No better than one fixed answer, as far as these photographs can tell"),
        (500, 1000, "Worse than one fixed answer"),
    ],
)
def test_a_run_is_told_by_the_ratio_of_its_geoscore_and_only_where_intervals_are_apart(own, fixed, headline):
    found = verdict(report(own, fixed))
    assert found.headline == headline
    assert found.better is (None if "No better" in headline else "Worse" not in headline)


def test_the_paired_difference_decides_where_it_was_measured():
    assert "No better" in verdict(report(1100, 1000)).headline
    paired = {"value": 100.0, "low": 20.0, "high": 180.0}
    assert verdict(report(1100, 1000, over_one_place=paired)).headline == "1.1 times as good as one fixed answer"
    assert verdict(report(1010, 1000, over_one_place=paired)).headline == "Barely better than one fixed answer"
    across = {"value": 900.0, "low": -20.0, "high": 1800.0}
    assert "No better" in verdict(report(2000, 1000, over_one_place=across)).headline


@pytest.mark.parametrize(("groups", "better"), [(1, None), (2, None), (9, None), (10, True)])
def test_two_photographs_or_few_groups_make_no_run_better_whatever_their_interval(groups, better):
    paired = {"value": 1000.0, "low": 900.0, "high": 1100.0}
    found = verdict(report(2000, 1000, over_one_place=paired) | {"groups": groups})
    assert found.better is better
    assert ("No better" in found.headline) == (better is None)
    assert ("So few tell nothing: 10 groups are needed." in found.basis) == (better is None)
    classes = {"top_1": figure(0.6), "largest_class": {"name": "TH", **figure(0.2)}}
    assert verdict({"photographs": groups, "level": "country", "classes": classes}).better is better


def test_within_one_city_the_verdict_says_how_to_tell_answers_apart():
    paired = {"value": 1.0, "low": 0.5, "high": 1.5}
    of_city = report(4999, 4998, over_one_place=paired)
    of_city["answers"]["one place"]["median_km"] = figure(0.42)
    found = verdict(of_city)
    assert found.headline == "Barely better than one fixed answer"
    assert "GeoScore hardly tells answers apart: measure again with --geoscore-scale-km 0.4." in found.basis


def test_the_basis_has_both_scores_with_their_intervals_and_the_count():
    assert verdict(report(2000, 1000)).basis == (
        "GeoScore 2,000 [1,800, 2,200], where the best single place for all photographs has 1,000 [900, 1,100]; median error "
        "7,000 km against 8,000 km. Measured on 1,234 photographs in 99 groups; in brackets, 95 % intervals."
    )


def test_a_stronger_baseline_that_the_run_does_not_beat_is_named():
    measured = report(2000, 1000)
    measured["answers"] |= {"neighbour": {"geoscore": figure(2100)}, "cell prior": {"geoscore": figure(700)}}
    basis = verdict(measured).basis
    assert "no better than the place of the most similar training photograph: GeoScore 2,100" in basis
    assert "counts of training" not in basis
    measured["answers"]["neighbour"] = {"geoscore": figure(3000)}
    assert "worse than the place of the most similar training photograph" in verdict(measured).basis


def test_classes_are_compared_with_always_the_largest():
    figures = {"top_1": figure(0.6), "largest_class": {"name": "TH", **figure(0.2)}}
    found = verdict({"photographs": 50, "level": "country", "classes": figures})
    assert found.headline == "Three times as good as always answering Thailand"
    assert "right for 60.0% [54.0%, 66.0%]" in found.basis
    never = {"top_1": figure(0.6), "largest_class": {"name": "TH", "value": 0.0, "low": 0.0, "high": 0.0}}
    assert verdict({"photographs": 50, "level": "country", "classes": never}).headline == (
        "More than 100 times as good as always answering Thailand"
    )


def test_an_evaluation_without_a_baseline_has_no_verdict():
    measured = report(2000, 1000)
    del measured["answers"]["one place"]
    assert verdict(measured) is None


def test_one_group_has_no_intervals_and_says_so():
    found = verdict(report(2000, 1000, photographs=1, groups=1))
    assert found.basis == (
        "GeoScore 2,000, where the best single place for all photographs has 1,000; median error 7,000 km against 8,000 km. "
        "Measured on 1 photograph in 1 group; without intervals, for resampling one group gives none. So few tell nothing: "
        "10 groups are needed."
    )
    assert "GeoScore 2,000 [1,800, 2,200]" in verdict(report(2000, 1000, groups=2)).basis


def test_a_part_of_one_group_has_no_intervals_within_a_report_of_many():
    part = {"groups": 1, "top_1": figure(0.5), "covered": {"groups": 1, **figure(0.9)}}
    found = with_true_intervals({"groups": 9, "top_1": figure(0.4), "country_only": part})
    assert found["top_1"] == figure(0.4)
    assert found["country_only"]["top_1"] == {"value": 0.5, "low": None, "high": None}
    assert found["country_only"]["covered"] == part["covered"]
