"""What is preferred changes sizes and choices, and nothing where nothing was asked for."""

from __future__ import annotations

from state.candidate import Candidate, Plan
from state.settings import Settings
from tools.preferring import PREFERENCES, quickest_of, sized


def plan(**params: object) -> Plan:
    return Plan(id="p", title="p", rationale="", params=params)


def candidate(name: str, milliseconds: float, size: int) -> Candidate:
    return Candidate(id=name, iteration=0, plan=plan(), status="done", predict_ms=milliseconds, model_bytes=size)


def test_every_preference_of_the_settings_is_known() -> None:
    """The words of the form are the words of the table."""
    words = Settings.model_json_schema()["properties"]["prefer"]["enum"]
    assert sorted(words) == sorted(PREFERENCES)


def test_speed_means_smaller_forests_and_single_fits_quality_larger_ones() -> None:
    """Balanced leaves plans as they are."""
    one = plan(trees=200, members=4, leaf=2)
    assert sized(one, "balanced") is one
    assert sized(one, "speed").params == {"trees": 80, "members": 1, "leaf": 2}
    assert sized(one, "quality").params == {"trees": 400, "members": 4, "leaf": 2}
    assert sized(plan(trees="auto"), "speed").params == {"trees": "auto"}
    assert sized(one.but(operator="improve"), "speed").params == one.params


def test_the_quickest_is_taken_and_of_the_equally_quick_the_smallest() -> None:
    """Times within a factor of two count as equal: they are measured, and vary. One not measured comes last."""
    slow, quick = candidate("slow", 100.0, 1_000), candidate("quick", 9.0, 90_000)
    small, unknown = candidate("small", 8.0, 10_000), candidate("unknown", 0.0, 1)
    assert quickest_of([slow, quick]).id == "quick"
    assert quickest_of([slow, quick, small, unknown]).id == "small"
