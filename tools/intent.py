"""What a sentence of intent says: classes or numbers, a forecast and how far, entities the model will not have seen.

Words decide only together with the data: every answer here is a hint that its caller checks against the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from tools.timeline import Step

_UNITS = r"(second|minute|hour|day|week|month|quarter|season|year)"
_UNITS_PER_YEAR = {
    "second": 31_557_600.0,
    "minute": 525_960.0,
    "hour": 8766.0,
    "day": 365.25,
    "week": 52.18,
    "month": 12.0,
    "quarter": 4.0,
    "season": 4.0,
    "year": 1.0,
}
_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_NUMBER = r"(\d+|" + "|".join(_NUMBERS) + ")"

_CLASS_WORDS = (
    r"\bclassif",
    r"\bwhich\b",
    r"\bwhether\b",
    r"\bdetect",
    r"\bflag\b",
    r"\btell\b",
    r"\bidentif",
    r"\brecogni[sz]",
    r"\bdiagnos",
    r"\bdistinguish",
    r"\bcategor",
    r"\bkinds? of\b",
    r"\bclass(es)?\b",
    r"\blabel",
    r"\bis (a|an)\b",
    r"\bchurn",
)
_NUMBER_WORDS = (
    r"\bhow (much|many|long|far|strong|high|well)",
    r"\bnumber of\b",
    r"\bamount",
    r"\bestimate\b",
    r"\bforecast",
    r"\bprice",
    r"\bcosts?\b",
    r"\bcount\b",
    r"\bquantit",
    r"\bregress",
    r"\bvalue of\b",
    r"\baverage\b",
)
_STRONG_FORECAST = (r"\bforecast", r"\btime[ -]series\b", r"\bnowcast", rf"\b{_UNITS}s? ahead\b", r"\bextrapolat")
_WEAK_FORECAST = (
    rf"\b(next|coming|upcoming|following|future) ({_NUMBER} )?{_UNITS}s?\b",
    r"\bfuture (values?|demand|sales|load|prices?|levels?|consumption|counts?|numbers?|periods?)\b",
    r"\b(in|into|for) the (near )?future\b",
    r"\btomorrow\b",
)
_UNSEEN = (
    r"\b(?:unseen|new|unknown|unfamiliar|future|held[- ]out)\s+((?:\w+\s+){0,1}\w+)",
    r"\b(?:used|applied|deployed|works?|holds?|transfers?)\s+(?:\w+\s+){0,3}?(?:other|different|further)\s+((?:\w+\s+){0,1}\w+)",
    r"\bnot yet seen\s+((?:\w+\s+){0,1}\w+)",
    r"((?:\w+\s+){0,1}\w+)\s+(?:that |which |who )?(?:we|it|the model|you|they|one)?\s*"
    r"(?:have|has|had|were|was|are|is)?\s*(?:not|never|n't)\s+(?:yet |been |yet been )?(?:seen|met|known|in the data)",
    r"((?:\w+\s+){0,1}\w+)\s+(?:that |which |who )?(?:we|it|you|they|the model)?\s*"
    r"(?:haven't|hasn't|hadn't|weren't|wasn't)\s+(?:yet |been )?(?:seen|met)",
    r"\bgenerali[sz]es? (?:to|across|over)\s+((?:\w+\s+){0,1}\w+)",
)
# fmt: off
_EMPTY_WORDS = {
    "the", "a", "an", "of", "on", "in", "to", "for", "and", "or", "our", "their", "its", "we", "it", "data",
    "rows", "cases", "ones", "values", "examples",
}
# fmt: on


def _says(intent: str, patterns: Iterable[str]) -> bool:
    return any(re.search(pattern, intent) for pattern in patterns)


def wanted_output(intent: str) -> Literal["classes", "numbers"] | None:
    """Whether the words ask for classes or for numbers; None when they ask for both or neither."""
    text = intent.lower()
    classes, numbers = _says(text, _CLASS_WORDS), _says(text, _NUMBER_WORDS)
    if classes == numbers:
        return None
    return "classes" if classes else "numbers"


def wants_forecast(intent: str) -> Literal["plainly", "perhaps", "no"]:
    """plainly: the word forecast or its like · perhaps: next, coming, future, which also occur in other sentences."""
    text = intent.lower()
    if _says(text, _STRONG_FORECAST):
        return "plainly"
    return "perhaps" if _says(text, _WEAK_FORECAST) else "no"


def horizon_in(intent: str, step: Step) -> int | None:
    """Steps ahead that the words ask for (“the coming year” in months: 12); None when no length is named."""
    text = intent.lower()
    if re.search(r"\btomorrow\b|\bnext day\b", text):
        return _steps(1, "day", step)
    found = re.search(rf"\b(?:next|coming|upcoming|following|future) (?:{_NUMBER} )?{_UNITS}(s?)\b", text)
    if found is None:
        found = re.search(rf"\b{_NUMBER} {_UNITS}(s?) (?:ahead|in advance|into the future)\b", text)
    if found is None:
        return None
    number, unit, plural = found.group(1), found.group(2), found.group(3)
    if number is None and plural:
        return None
    count = 1 if number is None else int(number) if number.isdigit() else _NUMBERS.index(number) + 1
    return _steps(count, unit, step)


def _steps(count: int, unit: str, step: Step) -> int | None:
    if step.unit == "number":
        return None
    return max(1, round(count * step.per_year / _UNITS_PER_YEAR[unit]))


def stem(word: str) -> str:
    """A word without its plural and case: Schools → school, companies → company."""
    word = re.sub(r"'s?$", "", word.lower())
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and re.search(r"(s|x|z|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def name_words(column: str) -> list[str]:
    """The words of a column's name: PassengerId → passenger, id; patient_no → patient, no."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", column)
    return [stem(word) for word in re.findall(r"[A-Za-z]+|\d+", parted)]


def mentions(column: str, words: Iterable[str]) -> bool:
    """Whether a column's name holds one of the words: “schools” is in `school`, `school_id` and `schoolid`."""
    parts = name_words(column)
    return any(
        wanted == part or (len(wanted) >= 4 and part.startswith(wanted))
        for wanted in map(stem, words)
        for part in parts
    )


def unseen_entities(intent: str) -> list[str]:
    """Nouns of things the model will meet for the first time (“schools we have not seen”, “new patients”), as stems."""
    nouns: list[str] = []
    for pattern in _UNSEEN:
        for found in re.finditer(pattern, intent.lower()):
            nouns += [stem(word) for word in found.group(1).split() if word not in _EMPTY_WORDS and len(word) > 2]
    return list(dict.fromkeys(nouns))
