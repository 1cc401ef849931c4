"""The free-response ROC curve of review candidates."""

import pytest

from tools.measure_review import Candidate, Measured, curve, free_response


def measured(missed_ml: tuple[float, ...], candidates: tuple[Candidate, ...], listed: int) -> Measured:
    return Measured("one", "clean", missed_ml, candidates, listed, {}, {}, {"WT": 1.0}, {}, 0.1)


DONE = [
    measured((2.0, 3.0), (Candidate(0.9, True, (0,)), Candidate(0.2, True, (0, 1))), 1),
    measured((), (Candidate(0.5, False, ()),), 1),
]


def test_free_response_counts_each_lesion_once_by_falling_probability() -> None:
    false, found = free_response(DONE)
    assert false == pytest.approx([0, 0, 0.5, 0.5])
    assert found == pytest.approx([0, 0.5, 0.5, 1])


def test_curve_names_its_patients() -> None:
    assert b"<svg" in curve(DONE)
