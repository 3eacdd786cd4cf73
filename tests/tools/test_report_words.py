"""How numbers, durations and names read."""

from __future__ import annotations

import pytest

from state.task import Metric
from tools.report import words

HIGHER = Metric(name="roc_auc", direction="higher", needs="probabilities")
LOWER = Metric(name="rmse", direction="lower", needs="values")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.87432, "0.8743"), (12.3456, "12.35"), (53940.2, "53,940"), (-0.5, "−0.5000"), (0, "0"), (1e-9, "1.00e-09"),
        (None, "–"), (float("nan"), "–"), (float("inf"), "–"), ("text", "–"),
    ],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    """Four digits, thousands apart, a dash for what is no number."""
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.42, "0.4 s"), (12.6, "13 s"), (59.7, "1 min"), (125, "2 min 05 s"), (3840, "1 h 04 min"), (None, "–")],
)
def test_durations(value: float | None, text: str) -> None:
    """As a person says them."""
    assert words.seconds(value) == text


def test_shares() -> None:
    """Small shares are not called zero, and nothing is divided by zero."""
    assert [words.share(part, 1000) for part in (0, 0.5, 34, 270)] == ["0 %", "< 0.1 %", "3.4 %", "27 %"]
    assert words.share(3, 0) == "–"


def test_moments() -> None:
    """ISO text is shortened; what is no time stays as it is."""
    assert words.moment("2026-11-21T07:33:44") == "2026-11-21 07:33"
    assert words.moment("yesterday") == "yesterday"
    assert words.moment(None) == "–"


def test_long_names_are_cut_and_kept_in_the_title() -> None:
    """Escaped in both places."""
    shown = words.cut('<b "x">' + "y" * 60, 10)
    assert shown == f'<span class="name" title="&lt;b &#34;x&#34;&gt;{"y" * 60}">&lt;b &#34;x&#34;&gt;yy…</span>'
    assert words.cut("short & sweet", 20) == "short &amp; sweet"


def test_lift_is_the_share_of_error_removed() -> None:
    """In both directions; None where the error has no zero."""
    assert words.lift(HIGHER, 0.9, 0.5) == pytest.approx(0.8)
    assert words.lift(LOWER, 25.0, 100.0) == pytest.approx(0.75)
    assert words.lift(LOWER, 120.0, 100.0) == pytest.approx(-0.2)
    assert words.lift(LOWER, 1.0, 0.0) is None
    assert words.lift(HIGHER, 0.9, 1.0) is None
