"""Which column to predict, when nobody said: from the words of the intent, well-known names, or the last column."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from state.errors import InputError, Problem
from tools.intake.table import Table

_WELL_KNOWN = (
    "target", "label", "labels", "class", "y", "outcome", "response", "dependent", "survived", "churn", "churned", "default",
    "diagnosis", "fraud", "is_fraud", "price", "saleprice", "sale_price", "sales", "species", "quality", "rating", "score",
    "income", "result",
)  # fmt: skip
_SAME = {
    "number": ("count", "cnt", "total", "quantity", "qty", "num"), "many": ("count", "total", "quantity"),
    "much": ("amount", "price", "cost"), "cost": ("price",), "revenue": ("sales",), "demand": ("sales", "count"),
    "fraudulent": ("fraud",), "cancel": ("churn", "exited"), "leave": ("churn", "exited", "attrition"),
    "buy": ("purchase", "purchased", "bought"), "die": ("death", "died"), "survival": ("survived",), "sick": ("disease",),
}  # fmt: skip
"""What people call it, and how the column is often named."""
_STOP = frozenset(
    (
        "a", "an", "the", "of", "for", "to", "in", "on", "and", "or", "is", "are", "be", "will", "which", "what", "who",
        "per", "how", "that", "this", "it", "its", "from", "by", "with", "at", "as", "we", "our",
    )
)  # fmt: skip
_INPUTS_FOLLOW = re.compile(r"\b(?:from|based on|using|given|by|with|out of|on the basis of)\b|[;.:]\s", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\b(?:forecast|estimat\w*|how (?:much|many|strongly|long|high)|amount|number of|value of)\b", re.IGNORECASE
)
_ENOUGH = 0.6
_FEW = 20


@dataclass(frozen=True)
class _Match:
    score: float
    position: int
    reason: str


def guess_target(table: Table, intent: str) -> tuple[str, str]:
    """The column to predict and a sentence saying why.

    In this order: a column the intent names (or whose values it names), a well-known name, the last column. Columns of
    dates and of free text, and constant ones, are no targets. Raises InputError when none of these leads anywhere.
    """
    frame = table.frame
    possible = [str(name) for name in frame.columns if _may_be_target(frame[name])]
    for part in dict.fromkeys((_INPUTS_FOLLOW.split(intent, maxsplit=1)[0], intent)):
        found = _named_in(part, intent, frame, possible)
        if found is not None:
            return found
    for known in _WELL_KNOWN:
        for name in possible:
            if name.strip().lower() == known:
                return name, f"Target {name!r}: a usual name for what is to be predicted; use another with --target."
    last = str(frame.columns[-1])
    if last in possible:
        return last, f"Target {last!r}: the last column, as neither intent nor names tell; use another with --target."
    shown = ", ".join(repr(str(name)) for name in frame.columns[:12])
    what = f"no column stands out as the one to predict; the columns are {shown}" + (
        ", …" if frame.shape[1] > 12 else ""
    )
    raise InputError(Problem(what, where=table.where, cure="name it: --target COLUMN (in Python target='…')"))


def _may_be_target(values: pd.Series) -> bool:
    """False for dates, constants, identifiers and text that hardly ever repeats."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or _names_rows(values):
        return False
    distinct, present = values.nunique(), int(values.notna().sum())
    if distinct < 2:
        return False
    return bool(pd.api.types.is_numeric_dtype(values.dtype)) or distinct <= max(_FEW, 0.2 * present)


def _names_rows(values: pd.Series) -> bool:
    """True for a column called an id or index that holds a different value in every row."""
    tokens = _tokens(str(values.name))
    called = bool({"id", "uuid", "guid", "index", "key"}.intersection(tokens[-1:] + tokens[:1])) or tokens == [
        "unnamed",
        "1",
    ]
    return called and bool(values.is_unique)


def _named_in(part: str, intent: str, frame: pd.DataFrame, possible: list[str]) -> tuple[str, str] | None:
    """The possible target that a part of the intent names best."""
    words = [_stem(word) for word in re.findall(r"[^\W_]+", part.lower())]
    amount = _AMOUNT.search(intent) is not None
    best: tuple[tuple[float, float], str, str] | None = None
    for name in possible:
        matches = [_by_name(name, words), _by_values(frame[name], part)]
        match = max(matches, key=lambda item: (item.score, -item.position))
        score = match.score - (0.5 if amount and not pd.api.types.is_numeric_dtype(frame[name].dtype) else 0.0)
        if score >= _ENOUGH and (best is None or (score, -match.position) > best[0]):
            best = ((score, -match.position), name, match.reason)
    return None if best is None else (best[1], f"Target {best[1]!r}: {best[2]}; use another with --target.")


def _tokens(name: str) -> list[str]:
    """The words of a column name: price_per_room, pricePerRoom, Price per room."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+", name)
    return [part.lower() for part in parts]


def _stem(word: str) -> str:
    for ending in ("ies", "es", "s", "ed", "ing", "al", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word[: -len(ending)]
            break
    return word.removesuffix("e") if len(word) > 4 else word


def _by_name(name: str, words: list[str]) -> _Match:
    """How much of a column's name the words hold: the share of its words found, and where the first stands."""
    tokens = [token for token in _tokens(name) if token not in _STOP] or _tokens(name) or [name.lower()]
    whole = _stem(re.sub(r"[\W_]", "", name.lower()))
    if whole in words:
        return _Match(1.0, words.index(whole), "the intent names it")
    quality = [_token_match(token, words, alone=len(tokens) == 1) for token in tokens]
    found = [place for score, place in quality if score > 0]
    weights = [1.0 if len(token) > 2 else 0.25 for token in tokens]  # units such as mm and kg say little
    score = sum(weight * score for weight, (score, _) in zip(weights, quality, strict=True)) / sum(weights)
    return _Match(score, min(found, default=0), "the intent names it")


def _token_match(token: str, words: list[str], *, alone: bool) -> tuple[float, int]:
    """(score, position) of the word that matches one word of a name: itself, a synonym, or what it abbreviates."""
    stem = _stem(token)
    for place, word in enumerate(words):
        if stem == word and word not in _STOP:
            return 1.0, place
    for place, word in enumerate(words):
        if any(stem == _stem(name) for said, meant in _SAME.items() if _stem(said) == word for name in meant):
            return 0.95, place
    for place, word in enumerate(words):
        if word in _STOP or len(word) < 4:
            continue
        shared = len(stem) >= 4 and (word.startswith(stem) or (len(word) >= 5 and stem.startswith(word)))
        short = len(token) >= 3 and word.startswith(token)
        initial = not alone and len(token) <= 3 and token[0] == word[0] and _is_subsequence(token, word)
        if shared or short or initial:
            return 0.9 if shared or short else 0.7, place
    return 0.0, 0


def _is_subsequence(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def _by_values(values: pd.Series, part: str) -> _Match:
    """A column of few text values is meant when the intent names one of them ("spam", "M")."""
    nothing = _Match(0.0, 0, "")
    if pd.api.types.is_numeric_dtype(values.dtype) or values.nunique() > _FEW:
        return nothing
    said = re.findall(r"[^\W_]+", part)
    for value in map(str, values.dropna().unique()):
        exact = value in said and (len(value) > 1 or f"({value})" in part)
        loose = len(value) >= 4 and _stem(value.lower()) in [_stem(word.lower()) for word in said]
        if (exact and value.lower() not in _STOP) or loose:
            return _Match(0.85, 0, f"the intent names its value {value!r}")
    return nothing
