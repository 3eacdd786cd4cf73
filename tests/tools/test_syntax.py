"""Reading source into a tree from several threads at once."""

import ast
import gc
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tools.syntax import parse_source

SOURCE = "\n".join(
    f"def function_{k}(a, b=[{k}, (1, 2)]):\n    return [a + {k} * (b - x) for x in b]" for k in range(60)
)


def _give_way(_phase: str, _info: dict[str, int]) -> None:
    time.sleep(0)


@pytest.fixture
def _overlapping() -> Iterator[None]:
    """Collect garbage all the time and let other threads run meanwhile: that is when the parses of threads overlap.

    With plain `ast.parse` in the test below, CPython 3.11 ends one of the parses in a SystemError, run after run.
    """
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50)
    gc.callbacks.append(_give_way)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.callbacks.remove(_give_way)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("_overlapping")
def test_threads_that_parse_at_once_all_get_their_tree() -> None:
    expected = ast.dump(parse_source(SOURCE))
    trees: list[str] = []
    faults: list[SystemError] = []

    def work() -> None:
        try:
            trees.extend(ast.dump(parse_source(SOURCE)) for _ in range(20))
        except SystemError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(trees) == 120
    assert set(trees) == {expected}


def test_a_source_that_is_no_python_is_refused_as_ast_does() -> None:
    with pytest.raises(SyntaxError, match="never closed"):
        parse_source("print((1")
    with pytest.raises((ValueError, SyntaxError), match="null"):  # ValueError before Python 3.12
        parse_source("a = 1\0")
