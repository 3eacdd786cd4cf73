"""The order of classes: scales whose words everybody puts in the same order, numbered labels, orders told in the intent."""

from __future__ import annotations

import re
from collections.abc import Sequence

from state.task import Label

# Each scale from lowest to highest; words that mean the same step are separated by "|".
_SCALES = [
    "none|nil|no, very low|lowest|minimal, low|minor, medium|moderate|mid|middle|average, high|major, "
    "very high|highest, extreme|critical",
    "never, almost never|hardly ever, rarely|seldom, sometimes|occasionally, often|frequently|usually, "
    "very often|almost always, always",
    "3xs|xxxs, 2xs|xxs, xs|extra small, s|small, m|medium, l|large, xl|extra large|x large, 2xl|xxl, 3xl|xxxl, 4xl|xxxxl",
    "tiny|very small, small, medium, large|big, huge|very large",
    "terrible|awful|very poor|very bad, poor|bad, fair|average|ok|okay|acceptable|mediocre|satisfactory, good, very good, "
    "premium, excellent|great|outstanding|ideal",
    "strongly disagree, disagree, somewhat disagree|slightly disagree, neutral|neither|neither agree nor disagree|undecided, "
    "somewhat agree|slightly agree, agree, strongly agree",
    "very dissatisfied|very unsatisfied, dissatisfied|unsatisfied, neutral, satisfied, very satisfied",
    "none|absent|normal, mild|light|slight, moderate, severe|serious, very severe|critical|profound, fatal",
    "beginner|novice, intermediate, advanced, expert|master",
    "freezing, cold, cool, mild, warm, hot",
    "very slow, slow, medium|moderate, fast, very fast",
    "bronze, silver, gold, platinum, diamond",
    "very unlikely, unlikely, neutral|possible, likely, very likely",
    "very easy, easy, medium|moderate, hard|difficult, very hard|very difficult",
    "i3, i2, i1, si2, si1, vs2, vs1, vvs2, vvs1, if, fl",
    "primary|elementary, secondary|high school, bachelor|bachelors, master|masters, doctorate|phd",
    "strongly negative|very negative, negative, neutral, positive, strongly positive|very positive",
]
_NUMBERED = re.compile(r"^([^\d]{0,16}?)\s*(\d+(?:\.\d+)?)(?!\d)")
_ORDERED_WORDS = (
    r"\bordinal\b",
    r"\bordered (class|categor|label|level|grade)",
    r"\b(star|likert|satisfaction|severity) (rating|score|scale|level)s?\b",
    r"\bratings? (of|from|on|in) (a scale|\d|one)",
    r"\bon a scale\b",
    r"\bfrom \w+ \(?(lowest|worst|least)\)? to\b",
    r"\bmistakes? of one (step|level|grade|class)\b",
    r"\bhow far off\b",
    r"\bnear misses\b",
    r"\bin the order\b",
)


def says_ordered(intent: str) -> bool:
    """Whether a sentence of intent speaks of classes that have an order."""
    text = intent.lower()
    return any(re.search(pattern, text) for pattern in _ORDERED_WORDS) or len(re.findall(r"\S\s*<\s*\S", text)) >= 2


def order_of(classes: Sequence[Label], intent: str, *, wanted: bool) -> tuple[list[Label], str] | None:
    """The classes from lowest to highest and how that is known; None where no order is known.

    wanted: metric or intent ask for an order; then whole numbers, numbered labels and the order in which the intent names
    the labels count too. A scale everybody knows counts always. Fewer than three classes have none.
    """
    if len(classes) < 3:
        return None
    texts = [label for label in classes if isinstance(label, str)]
    if len(texts) < len(classes):
        return (list(classes), "whole numbers") if wanted and not texts else None
    if wanted and (told := _told(texts, intent)) is not None:
        return told, "the intent names them in this order"
    if (known := _on_a_scale(texts)) is not None:
        return known, "a known scale"
    if wanted and (numbered := _numbered(texts)) is not None:
        return numbered, "by their numbers"
    return None


def _plain(label: str) -> str:
    return " ".join(re.sub(r"[_\-.]+", " ", label.lower()).replace("'", "").split())


def _on_a_scale(labels: list[str]) -> list[Label] | None:
    for scale in _SCALES:
        rank = {word: place for place, step in enumerate(scale.split(", ")) for word in step.split("|")}
        places = [rank.get(_plain(label)) for label in labels]
        if None not in places and len(set(places)) == len(labels):
            return [label for _, label in sorted(zip(places, labels, strict=True), key=lambda pair: pair[0] or 0)]
    return None


def _numbered(labels: list[str]) -> list[Label] | None:
    """Labels such as `1 star`, `stage 2`, `3 - high`: the numbers are distinct and the words before them the same."""
    found = [_NUMBERED.match(label) for label in labels]
    if not all(found) or len({one.group(1).strip().lower() for one in found if one}) > 1:
        return None
    numbers = [float(one.group(2)) for one in found if one]
    if len(set(numbers)) < len(labels):
        return None
    return [label for _, label in sorted(zip(numbers, labels, strict=True))]


def _told(labels: list[str], intent: str) -> list[Label] | None:
    """All labels in the order of the sentence; a longer label (`very good`) is looked for before one inside it (`good`)."""
    text, places = intent.lower(), {}
    for label in sorted(labels, key=len, reverse=True):
        found = re.search(rf"(?<!\w){re.escape(label.lower())}(?!\w)", text)
        if found is None:
            return None
        places[label] = found.start()
        text = text[: found.start()] + " " * len(label) + text[found.end() :]
    return [*sorted(labels, key=lambda label: places[label])]
