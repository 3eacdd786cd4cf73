"""The static contract of written programs."""

from __future__ import annotations

import pytest

from tools.program import MAX_BYTES, check_program

GOOD = '''"""A program."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

COLUMNS = ["a", "b"]
LIMIT: float = 2 * math.pi
NAMES = frozenset({"x"})
"""What it is."""


def fit(X, y, *, task, seed, time_limit, n_jobs):
    return Ridge().fit(X[COLUMNS], y)


def predict(model, X):
    return np.asarray(model.predict(X[COLUMNS]))
'''


def test_a_plain_program_has_no_problems() -> None:
    """Constants, imports from data libraries and the two functions are all a program needs."""
    assert check_program(GOOD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("def predict(model, X):", "def predict(model X):"), "line 21: the program is no valid Python"),
        (("def fit(", "def train("), "there is no function fit"),
        (("def predict(", "def infer("), "there is no function predict"),
        (("seed, time_limit,", "time_limit,"), "line 17: fit lacks the keyword seed"),
        (("*, task", "*, depth, task"), "line 17: fit asks for 'depth', which nobody passes"),
        (("fit(X, y, *", "fit(frame, labels, *"), "line 17: fit must take X and y first"),
        (("predict(model, X)", "predict(model, X, task)"), "line 21: predict must be callable as predict(model, X)"),
        (("import math", "import os"), "line 5: the import of 'os' is not allowed"),
        (("import math", "import socket, subprocess"), "the import of 'subprocess' is not allowed"),
        (("import math", "from tools.scoring import score"), "the import of 'tools.scoring' is not allowed"),
        (("import math", "from .other import thing"), "relative imports are not possible"),
        (("return Ridge()", "open('x'); return Ridge()"), "line 18: open() is not allowed"),
        (("return Ridge()", "eval('1'); return Ridge()"), "eval() is not allowed"),
        (("return Ridge()", "().__class__.__subclasses__(); return Ridge()"), "__subclasses__ is not allowed"),
        (('["a", "b"]', '["/etc/passwd"]'), "line 11: the absolute path '/etc/passwd' is not allowed"),
        (("LIMIT: float = 2 * math.pi", "LIMIT = np.load('x.npy')"), "line 12: work at module level"),
        (("LIMIT: float = 2 * math.pi", "print('hello')"), "line 12: work at module level"),
        (("LIMIT: float = 2 * math.pi", "for i in range(3): pass"), "line 12: work at module level (for)"),
        (("def predict", "def save(model, folder): ...\n\n\ndef predict"), "save() is defined without load()"),
    ],
)
def test_each_breach_is_named_with_its_line(change: tuple[str, str], said: str) -> None:
    """A breach is told in a sentence that says where and what."""
    problems = check_program(GOOD.replace(*change))
    assert any(said in problem for problem in problems), problems


def test_everything_wrong_is_told_at_once() -> None:
    """A writer sees all problems, not the first one."""
    assert len(check_program("import os\nopen('x')\n")) >= 4


def test_programs_a_person_answers_for_may_import_what_they_like() -> None:
    """With unsafe_ok only the entry points and the module level are judged."""
    assert check_program(GOOD.replace("import math", "import os, math"), unsafe_ok=True) == []


def test_a_program_that_carries_data_is_refused() -> None:
    """The size cap says to leave data out."""
    assert "leave data out" in check_program(GOOD + "#" * MAX_BYTES)[0]


def test_a_null_byte_is_a_problem_not_a_crash() -> None:
    """Text that cannot be parsed at all is refused like any other."""
    assert "no valid Python" in check_program("x = 1\x00")[0]


def test_keywords_may_be_swallowed_or_have_defaults() -> None:
    """`**more` and extra keywords with defaults keep the contract."""
    assert check_program(GOOD.replace("*, task, seed, time_limit, n_jobs", "*, task, depth=3, **more")) == []
