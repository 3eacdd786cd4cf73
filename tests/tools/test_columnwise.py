"""Columns worked on side by side: in their order, with the error of the first that fails."""

from __future__ import annotations

import threading

import pytest

from tools.columnwise import LARGE, by_column


@pytest.mark.parametrize("cells", [10, LARGE])
def test_results_keep_their_order(cells: int) -> None:
    assert by_column(lambda number: number * 2, range(50), cells=cells) == list(range(0, 100, 2))


@pytest.mark.parametrize("cells", [10, LARGE])
def test_the_first_error_is_raised(cells: int) -> None:
    def work(number: int) -> int:
        if number in (3, 7):
            raise ValueError(f"column {number}")
        return number

    with pytest.raises(ValueError, match="column 3"):
        by_column(work, range(10), cells=cells)


def test_small_tables_start_no_thread() -> None:
    assert set(by_column(lambda _: threading.current_thread(), range(5), cells=10)) == {threading.current_thread()}
