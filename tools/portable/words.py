"""Vocabularies of text encoders as plain lists of words, apart from the estimators that hold them.

A vectorizer keeps its words in a mapping, word → column, often with a hundred thousand entries, somewhere inside a
pipeline or a table vectorizer. Formats that describe every entry as an object take seconds and tens of megabytes for it.
So each such mapping is taken out while its estimator is saved, with a placeholder in its place, and put back after
loading.

Stands alone: imports numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

LEAST = 200
"""Words from which a mapping is taken out."""
_MARK = "\x00words"
_LIBRARIES = ("sklearn.", "skrub.")


@contextmanager
def words_apart(part: Any, own: str = "") -> Iterator[list[list[str]]]:
    """While inside, `part` holds placeholders for its vocabularies; gives those, each as its words by ascending column.

    own: name of the program's own module; its objects are looked through too. `part` is as it was afterwards.
    """
    taken: list[list[str]] = []
    before: list[tuple[dict[str, Any], str, dict[str, int]]] = []
    try:
        for holder, name, value in _mappings(part, own):
            if len(value) >= LEAST and (words := _words(value)) is not None:
                before.append((holder, name, value))
                holder[name] = {_MARK: len(taken)}
                taken.append(words)
        yield taken
    finally:
        for holder, name, value in before:
            holder[name] = value


def put_words_back(part: Any, words: list[list[str]], own: str = "") -> None:
    """Fill the placeholders of `part` with the vocabularies. Raises ValueError when one is missing."""
    made: dict[int, dict[str, int]] = {}
    for holder, name, value in _mappings(part, own):
        if value.keys() == {_MARK}:
            number = value[_MARK]
            if not 0 <= number < len(words):
                raise ValueError(f"vocabulary {number} is missing; {len(words)} are there")
            if number not in made:
                made[number] = {word: column for column, word in enumerate(words[number])}
            holder[name] = made[number]


def _mappings(part: Any, own: str) -> list[tuple[dict[str, Any], str, dict[str, int]]]:
    """Every dict that is an attribute of an estimator inside `part`: the attributes it is among, its name, and itself."""
    found: list[tuple[dict[str, Any], str, dict[str, int]]] = []
    seen: set[int] = set()
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, str | bytes | int | float | type | None):
            continue
        seen.add(id(one))
        if isinstance(one, Mapping):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
        elif isinstance(one, np.ndarray):
            waiting.extend(one.ravel() if one.dtype.kind == "O" else ())
        elif (module := f"{type(one).__module__}.").startswith(_LIBRARIES) or (own and module == f"{own}."):
            state = getattr(one, "__dict__", {})
            found += [(state, name, value) for name, value in state.items() if type(value) is dict and value]
            waiting.extend(state.values())
    return found


def _words(value: dict[Any, Any]) -> list[str] | None:
    """The keys of a mapping by ascending value, when they are texts and the values count from 0."""
    words: list[str | None] = [None] * len(value)
    for word, column in value.items():
        if type(word) is not str or not isinstance(column, int | np.integer) or not 0 <= column < len(words):
            return None
        words[column] = word
    return None if any(word is None for word in words) else [str(word) for word in words]
