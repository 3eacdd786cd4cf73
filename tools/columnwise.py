"""Work that goes column by column, spread over the cores where a table is large.

Sorting, counting and casting of a long column are done by numpy, pandas and Arrow without the interpreter's lock, so
threads gain; on a small table starting them costs more than they save.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

LARGE = 5_000_000
"""Cells of a table from which on threads are used."""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def by_column(work: Callable[[T], R], columns: Iterable[T], *, cells: int) -> list[R]:
    """What `work` gives for each column, in their order. cells: of the whole table. The first error is raised."""
    if cells < LARGE or cores() < 2:
        return [work(column) for column in columns]
    with ThreadPoolExecutor(min(4, cores()), thread_name_prefix="column") as pool:
        return list(pool.map(work, columns))
