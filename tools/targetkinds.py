"""What a target is beyond its task kind: counts, rates, many zeros, an exposure; classes with an order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from state.errors import InputError, Problem
from state.profile import Profile
from state.settings import Settings
from state.task import Feature, Label, Metric, TargetTrait, TaskKind
from tools.deviances import POWERS
from tools.intent import mentions, name_words, stem
from tools.labels import Labels
from tools.metrics import ALIASES, METRICS, metric_in
from tools.orders import order_of, says_ordered

ORDINAL_METRICS = frozenset({"quadratic_kappa", "linear_kappa", "rank_mae"})
"""Metrics of classes that have an order: a mistake costs the more, the farther apart the classes are."""
MOST_RANKS = 30
_COUNT_NAMES = [
    *("count", "number", "num", "quantity", "visits", "claims", "accidents", "goals", "events", "children", "siblings"),
    *("cases", "deaths", "arrivals", "orders", "tickets", "clicks", "errors", "defects", "rentals", "bikes"),
]
_RATE_NAMES = ["rate", "frequency", "incidence", "density", "intensity", "per"]
_EXPOSED = (
    r"\bper (?:\w+ ){0,2}of (?:the )?((?:\w+ ?){1,3})",
    r"\b(?:exposure|offset)(?: column)?(?: is| in|:| =)? (?:the )?((?:\w+ ?){1,3})",
    r"\b((?:\w+ ){0,5}\w+) (?:as|is) (?:the |an )?(?:exposure|offset)\b",
    r"\b((?:\w+ ){0,2}\w+) at risk\b",
)


@dataclass(frozen=True)
class TargetKind:
    """What framing learned of a target: its traits, the classes in their order, the exposure, and sentences."""

    traits: list[TargetTrait] = field(default_factory=list)
    classes: list[Label] = field(default_factory=list)
    exposure: str | None = None
    sentences: list[str] = field(default_factory=list)


def asked_metric(settings: Settings) -> str:
    """Canonical name of the metric the settings name; "" for none or an unknown one."""
    wanted = re.sub(r"[\s\-]+", "_", settings.metric.strip().lower())
    known = ALIASES.get(wanted, wanted)
    return known if known in METRICS else ""


def implied_kind(settings: Settings, values: pd.Series) -> TaskKind | None:
    """The kind the settings give; else `multiclass` where a metric of ordered classes is asked for few whole numbers."""
    if settings.kind is not None:
        return settings.kind
    named = asked_metric(settings) or (one.name if (one := metric_in(settings.intent, "multiclass")) else "")
    if named not in ORDINAL_METRICS or not pd.api.types.is_numeric_dtype(values.dtype):
        return None
    known = values.dropna()
    whole = bool((known == known.round()).all())
    return "multiclass" if whole and 3 <= known.nunique() <= MOST_RANKS else None


# ---- classes ---------------------------------------------------------------------------------------------------------


def ordered_target(settings: Settings, kind: TaskKind, classes: list[Label], name: str) -> TargetKind:
    """The classes in their order, where they have one. Raises InputError when the metric needs one and none is known."""
    if kind != "multiclass":
        return TargetKind(classes=classes)
    named = asked_metric(settings)
    named = "rank_mae" if named == "mae" else named
    wanted = named in ORDINAL_METRICS or says_ordered(settings.intent) or _intent_names_ordinal(settings)
    known = order_of(classes, settings.intent, wanted=wanted)
    if known is not None:
        order, why = known
        shown = " < ".join(map(str, order[:12])) + (" < …" if len(order) > 12 else "")
        return TargetKind(["ordinal"], order, None, [f"The classes have an order ({why}): {shown}."])
    listed = ", ".join(map(str, classes[:12]))
    if named == "rank_mae":
        cure = "write it into the intent, lowest first (“… in the order poor < fair < good”), or choose another metric"
        what = f"the classes of {name!r} ({listed}) have no order that is known, but {named} measures distances in it"
        raise InputError(Problem(what, where="metric", cure=cure))
    if named not in ORDINAL_METRICS:
        return TargetKind(classes=classes)
    told = (
        f"{named} weighs mistakes by distance in the order {listed}, since no other is known; the intent can name it."
    )
    return TargetKind(classes=classes, sentences=[told])


def _intent_names_ordinal(settings: Settings) -> bool:
    named = None if settings.metric else metric_in(settings.intent, "multiclass")
    return named is not None and named.name in ORDINAL_METRICS


# ---- values ----------------------------------------------------------------------------------------------------------


def counted_target(settings: Settings, profile: Profile, kind: TaskKind, features: Sequence[Feature]) -> TargetKind:
    """Traits of a target of values that are never negative, and the exposure column the intent names."""
    stats, name = profile.target.stats, profile.target.name
    if kind != "regression" or stats.get("min") is None or float(stats["min"]) < 0:
        return TargetKind()
    traits: list[TargetTrait] = []
    mean, zeros = float(stats.get("mean") or 0.0), float(stats.get("zeros") or 0.0)
    whole = bool(stats.get("integer"))
    if whole and (float(stats["min"]) <= 2 or mentions(name, _COUNT_NAMES)):
        traits.append("count")
    elif not whole and mentions(name, _RATE_NAMES):
        traits.append("rate")
    # A Poisson law with this mean has exp(−mean) zeros; a continuous one has none.
    expected = math.exp(-mean) if whole else 0.0
    if zeros > 0.05 and zeros > expected + 0.1:
        traits.append("zero-inflated")
    if float(stats.get("skew") or 0.0) > 2:
        traits.append("long-tail")
    exposure = (
        _exposure(settings.intent, profile, features) if {"count", "rate", "zero-inflated"} & set(traits) else None
    )
    if exposure is not None:
        traits.append("exposure")
    return TargetKind(traits, [], exposure, _told(name, traits, exposure, zeros))


def _told(name: str, traits: list[TargetTrait], exposure: str | None, zeros: float) -> list[str]:
    sentences = []
    if "count" in traits:
        sentences.append(f"{name!r} counts things (whole numbers from 0 up): no prediction lies below 0.")
    elif {"rate", "zero-inflated"} & set(traits):
        sentences.append(f"{name!r} is never negative: no prediction lies below 0.")
    if "zero-inflated" in traits:
        sentences.append(f"{zeros:.0%} of the rows are exactly 0, more than a plain law of counts has.")
    if exposure is not None:
        how = "counts are learned per unit of it" if "count" in traits else "rows weigh by it"
        sentences.append(f"Exposure {exposure!r}: the intent names it; with a deviance as metric {how}.")
    return sentences


def _exposure(intent: str, profile: Profile, features: Sequence[Feature]) -> str | None:
    """The numeric column, always above 0, that the intent names as what events are counted over."""
    used = {feature.name for feature in features if feature.kind == "numeric" and feature.missing == 0}
    fitting = [one.name for one in profile.columns if one.name in used and float(one.stats.get("min") or 0) > 0]
    text = re.sub(r"[^\w]+", " ", intent.lower())
    for pattern in _EXPOSED:
        for found in re.finditer(pattern, text):
            words = {stem(word) for word in found.group(1).split()}
            named = [name for name in fitting if set(name_words(name)) <= words or "".join(name_words(name)) in words]
            if named:
                return max(named, key=lambda name: len(name_words(name)))
    if re.search(r"\bexposures?\b|\boffset\b", text):
        return next((name for name in fitting if mentions(name, ["exposure", "offset"])), None)
    return None


# ---- metrics ---------------------------------------------------------------------------------------------------------


def special_metric(settings: Settings, kind: TaskKind, found: TargetKind) -> tuple[Metric, str] | None:
    """The metric nobody named that the target itself asks for; None where the usual choice stands."""
    if metric_in(settings.intent, kind) is not None:
        return None
    if "ordinal" in found.traits and says_ordered(settings.intent):
        return METRICS[
            "quadratic_kappa"
        ], "Metric quadratic_kappa: the classes have an order, and the intent speaks of it."
    if found.exposure is not None:
        return METRICS["poisson_deviance"], "Metric poisson_deviance: events counted over an exposure."
    return None


def refuse_range(metric: Metric, labels: Labels, name: str) -> None:
    """Raise InputError when a deviance is not defined for these values."""
    power = POWERS.get(metric.name)
    if power is None or not len(labels):
        return
    low = float(min(labels))
    if low < 0 or (power == 2.0 and low <= 0):
        wanted = "positive values only" if power == 2.0 else "a target without negative values"
        cure = "choose tweedie_deviance, rmse or mae" if low == 0 else "choose rmse or mae"
        raise InputError(
            Problem(f"{metric.name} needs {wanted}, but {name!r} reaches {low:g}", where="metric", cure=cure)
        )
    if not any(labels):
        raise InputError(Problem(f"every value of {name!r} is 0", where="target", cure="bring rows with events"))
