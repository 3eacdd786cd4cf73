"""The metrics: one catalogue with directions, aliases, task kinds, and the choice of a metric nobody named."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from state.errors import InputError, Problem
from state.profile import Profile
from state.task import Metric, TaskKind

_BINARY: frozenset[TaskKind] = frozenset({"binary"})
_MULTICLASS: frozenset[TaskKind] = frozenset({"multiclass"})
_CLASSES: frozenset[TaskKind] = frozenset({"binary", "multiclass"})
_REGRESSION: frozenset[TaskKind] = frozenset({"regression"})
_LABELS: frozenset[TaskKind] = frozenset({"multilabel"})
_NUMBERS: frozenset[TaskKind] = frozenset({"multiregression"})


@dataclass(frozen=True)
class Entry:
    """A metric with what the catalogue knows beyond the record: for which tasks, within which bounds, other names."""

    metric: Metric
    kinds: frozenset[TaskKind]
    best: float
    """The value of a perfect prediction."""
    worst: float
    """The bound on the other side; infinite when there is none."""
    aliases: tuple[str, ...]


def _entry(
    name: str,
    title: str,
    direction: Literal["higher", "lower"],
    needs: Literal["probabilities", "labels", "values"],
    kinds: frozenset[TaskKind],
    aliases: str = "",
    worst: float | None = None,
) -> Entry:
    best = 1.0 if direction == "higher" else 0.0
    bound = worst if worst is not None else (0.0 if direction == "higher" else float("inf"))
    metric = Metric(name=name, direction=direction, needs=needs, title=title)
    return Entry(metric, kinds, best, bound, tuple(aliases.split()))


_NO_BOUND = float("-inf")
_CATALOGUE = [
    _entry(
        "roc_auc", "area under the ROC curve", "higher", "probabilities", _BINARY, "auc auroc rocauc roc roc_auc_score"
    ),
    _entry(
        "average_precision",
        "average precision",
        "higher",
        "probabilities",
        _BINARY,
        "ap aucpr auprc prauc pr_auc average_precision_score",
    ),
    _entry("log_loss", "log loss", "lower", "probabilities", _CLASSES, "logloss neg_log_loss cross_entropy nll"),
    _entry(
        "brier",
        "Brier score",
        "lower",
        "probabilities",
        _CLASSES,
        "brier_score brier_score_loss neg_brier_score",
        worst=2.0,
    ),
    _entry("accuracy", "accuracy", "higher", "labels", _CLASSES, "acc accuracy_score"),
    _entry(
        "balanced_accuracy", "balanced accuracy", "higher", "labels", _CLASSES, "bacc bal_acc balanced_accuracy_score"
    ),
    _entry("f1", "F1 of the positive class", "higher", "labels", _BINARY, "f1_score f1_binary fscore"),
    _entry("precision", "precision of the positive class", "higher", "labels", _BINARY, "precision_score ppv"),
    _entry("recall", "recall of the positive class", "higher", "labels", _BINARY, "recall_score sensitivity tpr"),
    _entry("macro_f1", "F1, mean over classes", "higher", "labels", _CLASSES, "f1_macro f1macro"),
    _entry("weighted_f1", "F1, weighted by class size", "higher", "labels", _CLASSES, "f1_weighted f1weighted"),
    _entry("macro_precision", "precision, mean over classes", "higher", "labels", _CLASSES, "precision_macro"),
    _entry("macro_recall", "recall, mean over classes", "higher", "labels", _CLASSES, "recall_macro"),
    _entry(
        "mcc",
        "Matthews correlation",
        "higher",
        "labels",
        _CLASSES,
        "matthews matthews_corrcoef matthews_correlation",
        worst=-1.0,
    ),
    _entry("cohen_kappa", "Cohen's kappa", "higher", "labels", _CLASSES, "kappa cohen_kappa_score", worst=-1.0),
    _entry(
        "quadratic_kappa",
        "Cohen's kappa with quadratic weights",
        "higher",
        "labels",
        _CLASSES,
        "qwk quadratic_weighted_kappa weighted_kappa",
        worst=-1.0,
    ),
    _entry(
        "linear_kappa",
        "Cohen's kappa with linear weights",
        "higher",
        "labels",
        _CLASSES,
        "lwk linear_weighted_kappa",
        worst=-1.0,
    ),
    _entry(
        "rank_mae",
        "mean distance in ranks of ordered classes",
        "lower",
        "labels",
        _MULTICLASS,
        "ordinal_mae mae_of_ranks mean_absolute_rank_error",
    ),
    _entry(
        "roc_auc_ovr",
        "area under the ROC curve, each class against the rest",
        "higher",
        "probabilities",
        _MULTICLASS,
        "auc_ovr macro_auc macro_roc_auc roc_auc_macro",
    ),
    _entry(
        "rmse",
        "root mean squared error",
        "lower",
        "values",
        _REGRESSION,
        "root_mean_squared_error neg_root_mean_squared_error rmsd",
    ),
    _entry("mse", "mean squared error", "lower", "values", _REGRESSION, "mean_squared_error neg_mean_squared_error l2"),
    _entry(
        "mae",
        "mean absolute error",
        "lower",
        "values",
        _REGRESSION,
        "mean_absolute_error neg_mean_absolute_error mad l1",
    ),
    _entry(
        "median_ae",
        "median absolute error",
        "lower",
        "values",
        _REGRESSION,
        "median_absolute_error neg_median_absolute_error medae mdae",
    ),
    _entry(
        "mape",
        "mean absolute percentage error",
        "lower",
        "values",
        _REGRESSION,
        "mean_absolute_percentage_error neg_mean_absolute_percentage_error",
    ),
    _entry(
        "smape",
        "symmetric mean absolute percentage error",
        "lower",
        "values",
        _REGRESSION,
        "symmetric_mean_absolute_percentage_error",
        worst=2.0,
    ),
    _entry(
        "wape",
        "absolute error relative to the total",
        "lower",
        "values",
        _REGRESSION,
        "weighted_absolute_percentage_error wmape",
    ),
    _entry(
        "rmsle",
        "root mean squared logarithmic error",
        "lower",
        "values",
        _REGRESSION,
        "root_mean_squared_log_error neg_root_mean_squared_log_error",
    ),
    *(
        _entry(f"{law}_deviance", f"mean {title} deviance", "lower", "values", _REGRESSION, aliases)
        for law, title, aliases in (
            ("poisson", "Poisson", "mean_poisson_deviance neg_mean_poisson_deviance poisson_loss poisson"),
            ("tweedie", "Tweedie (power 1.5)", "mean_tweedie_deviance neg_mean_tweedie_deviance tweedie_loss tweedie"),
            ("gamma", "gamma", "mean_gamma_deviance neg_mean_gamma_deviance gamma_loss gamma"),
        )
    ),
    *(
        _entry(
            f"d2_{law}", f"share of the {title} deviance explained", "higher", "values", _REGRESSION, aliases, _NO_BOUND
        )
        for law, title, aliases in (
            ("poisson", "Poisson", "d2_poisson_score d2_poisson_deviance"),
            ("tweedie", "Tweedie (power 1.5)", "d2_tweedie_score d2_tweedie_deviance"),
            ("gamma", "gamma", "d2_gamma_score d2_gamma_deviance"),
        )
    ),
    _entry("pinball", "pinball loss at the median", "lower", "values", _REGRESSION, "quantile_loss mean_pinball_loss"),
    _entry("max_error", "largest error", "lower", "values", _REGRESSION, "neg_max_error maximum_error"),
    _entry("r2", "R²", "higher", "values", _REGRESSION, "r2_score rsquared r_squared r^2 r²", worst=_NO_BOUND),
    _entry(
        "explained_variance",
        "explained variance",
        "higher",
        "values",
        _REGRESSION,
        "explained_variance_score",
        worst=_NO_BOUND,
    ),
    _entry("mean_roc_auc", "area under the ROC curve, mean over labels", "higher", "probabilities", _LABELS),
    _entry("mean_average_precision", "average precision, mean over labels", "higher", "probabilities", _LABELS),
    _entry("mean_log_loss", "log loss, mean over labels", "lower", "probabilities", _LABELS),
    _entry("micro_f1", "F1 over all labels together", "higher", "labels", _LABELS, "f1_micro"),
    _entry("label_f1", "F1, mean over labels", "higher", "labels", _LABELS),
    _entry("subset_accuracy", "share of rows with every label right", "higher", "labels", _LABELS, "exact_match"),
    _entry("hamming_loss", "share of wrong labels", "lower", "labels", _LABELS, "hamming"),
    _entry("scaled_rmse", "RMSE in standard deviations, mean over targets", "lower", "values", _NUMBERS),
    _entry("scaled_mae", "absolute error in standard deviations, mean over targets", "lower", "values", _NUMBERS),
    _entry("mean_r2", "R², mean over targets", "higher", "values", _NUMBERS, worst=_NO_BOUND),
    _entry("uniform_rmse", "RMSE, mean over targets in their units", "lower", "values", _NUMBERS),
    _entry("uniform_mae", "absolute error, mean over targets in their units", "lower", "values", _NUMBERS),
]

ENTRIES: dict[str, Entry] = {entry.metric.name: entry for entry in _CATALOGUE}
METRICS: dict[str, Metric] = {name: entry.metric for name, entry in ENTRIES.items()}
ALIASES: dict[str, str] = {alias: entry.metric.name for entry in _CATALOGUE for alias in entry.aliases}

_SIBLINGS: dict[tuple[str, TaskKind], str] = {
    ("roc_auc", "multiclass"): "roc_auc_ovr",
    ("roc_auc_ovr", "binary"): "roc_auc",
    ("f1", "multiclass"): "macro_f1",
    ("precision", "multiclass"): "macro_precision",
    ("recall", "multiclass"): "macro_recall",
}
"""What a person means who names a metric of two classes for a task of many, or the other way round."""
_SIBLINGS |= {
    (name, "multilabel"): sibling
    for sibling, names in {
        "mean_roc_auc": ("roc_auc", "roc_auc_ovr"),
        "mean_average_precision": ("average_precision",),
        "mean_log_loss": ("log_loss",),
        "label_f1": ("f1", "macro_f1"),
        "subset_accuracy": ("accuracy",),
    }.items()
    for name in names
}
_SIBLINGS |= {
    ("rmse", "multiregression"): "scaled_rmse",
    ("mse", "multiregression"): "scaled_rmse",
    ("mae", "multiregression"): "scaled_mae",
    ("r2", "multiregression"): "mean_r2",
}
_SIBLINGS_GIVEN: dict[tuple[str, TaskKind], str] = {**_SIBLINGS, ("mae", "multiclass"): "rank_mae"}
"""The same where the metric was given as such; the words of an intent are not enough to make ranks of classes."""


def _spelling(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def metric(name: str) -> Metric:
    """The metric of a name or alias, in any case, with spaces or dashes. Raises InputError with the nearest names."""
    wanted = _spelling(name)
    known = ALIASES.get(wanted, wanted)
    if known in METRICS:
        return METRICS[known]
    close = difflib.get_close_matches(wanted, [*METRICS, *ALIASES], n=4, cutoff=0.5)
    near = list(dict.fromkeys(ALIASES.get(item, item) for item in close))
    cure = f"did you mean {' or '.join(near[:3])}?" if near else f"choose one of: {', '.join(METRICS)}"
    raise InputError(Problem(f"there is no metric {name!r}", where="metric", cure=cure))


def metrics_for(kind: TaskKind) -> list[Metric]:
    """All metrics that make sense for a task kind, in catalogue order."""
    return [entry.metric for entry in _CATALOGUE if kind in entry.kinds]


def metric_for(name: str, kind: TaskKind) -> tuple[Metric, str]:
    """A named metric fit for a task kind, and a sentence when a sibling was taken (f1 → macro_f1 for many classes).

    Raises InputError when the metric cannot be computed for this kind, naming those that can.
    """
    found = metric(name)
    if kind in ENTRIES[found.name].kinds:
        return found, ""
    sibling = _SIBLINGS_GIVEN.get((found.name, kind))
    if sibling is not None:
        return METRICS[sibling], f"Metric {name!r} is taken as {sibling}, its form for a {kind} task."
    possible = ", ".join(item.name for item in metrics_for(kind))
    raise InputError(
        Problem(f"{found.name!r} cannot score a {kind} task", where="metric", cure=f"choose one of: {possible}")
    )


def metric_in(intent: str, kind: TaskKind) -> Metric | None:
    """The metric that a sentence of intent names, if it names one that fits (“… judged by RMSE”)."""
    words = re.sub(r"[^a-z0-9²]+", " ", intent.lower())
    spoken = {**{name: name for name in METRICS}, **ALIASES}
    risky = {
        "poisson",
        "tweedie",
        "gamma",
        "precision",
        "recall",
        "roc",
        "ap",
        "acc",
        "mad",
        "kappa",
        "l1",
        "l2",
        "sensitivity",
        "brier",
    }
    for phrase in sorted(spoken, key=len, reverse=True):
        if phrase in risky:  # ordinary words and stray letters; too weak to overrule what the data says
            continue
        if re.search(rf"\b{re.escape(phrase.replace('_', ' '))}(?!\w)", words):
            name = spoken[phrase]
            name = name if kind in ENTRIES[name].kinds else _SIBLINGS.get((name, kind), "")
            if name:
                return METRICS[name]
    return None


def default_metric(kind: TaskKind, profile: Profile, intent: str) -> tuple[Metric, str]:
    """The metric for a task whose person named none, and the reason as a sentence."""
    named = metric_in(intent, kind)
    if named is not None:
        return named, f"Metric {named.name}: the intent names it."
    if kind == "binary":
        return _for_binary(profile, intent.lower())
    if kind == "multiclass":
        return _for_multiclass(profile, intent.lower())
    if kind == "multilabel":
        return METRICS["mean_roc_auc"], "Metric mean_roc_auc: several labels, no metric named; it needs no threshold."
    if kind == "multiregression":
        found = _for_regression(profile, intent.lower())[0].name
        name = _SIBLINGS.get((found, kind), "scaled_rmse")
        return METRICS[name], f"Metric {name}: several targets, each counts the same whatever its unit."
    return _for_regression(profile, intent.lower())


def _says(intent: str, *patterns: str) -> bool:
    return any(re.search(pattern, intent) for pattern in patterns)


def _rarest_share(profile: Profile) -> float:
    counts = list(profile.target.counts.values())
    return min(counts) / max(1, sum(counts)) if counts else 0.5


def _for_binary(profile: Profile, intent: str) -> tuple[Metric, str]:
    share = _rarest_share(profile)
    rank = _says(intent, r"\brisk", r"\bscor(e|ing)\b", r"\brank", r"\bpriorit", r"\bpropensity", r"\blikelihood")
    if _says(intent, r"\bprobabilit", r"\bcalibrat", r"\bchances? of\b"):
        return METRICS["log_loss"], "Metric log_loss: the intent asks for probabilities."
    if share < 0.1 and not rank:
        return (
            METRICS["average_precision"],
            f"Metric average_precision: the rarer class holds {share:.1%} of the rows; this looks at the rare class.",
        )
    if rank:
        return METRICS["roc_auc"], "Metric roc_auc: the intent asks for an order by risk, which this measures."
    if _says(intent, r"\baccurate", r"\bcorrectly\b", r"\bshare of correct"):
        return METRICS["accuracy"], "Metric accuracy: the intent asks for correct answers."
    return METRICS["roc_auc"], "Metric roc_auc: two classes, no metric named; it needs no threshold."


def _for_multiclass(profile: Profile, intent: str) -> tuple[Metric, str]:
    counts = list(profile.target.counts.values())
    if _says(intent, r"\bprobabilit", r"\bcalibrat"):
        return METRICS["log_loss"], "Metric log_loss: the intent asks for probabilities."
    if counts and max(counts) > 1.5 * min(counts):
        return (
            METRICS["macro_f1"],
            "Metric macro_f1: the classes differ in size, and this one counts each class alike.",
        )
    return METRICS["accuracy"], "Metric accuracy: many classes of about the same size."


def _for_regression(profile: Profile, intent: str) -> tuple[Metric, str]:
    if _says(intent, r"\bper ?cent", r"\bpercentage", r"\brelative error"):
        return METRICS["mape"], "Metric mape: the intent asks for errors in per cent."
    if _says(intent, r"\b(average|typical|usual|absolute)( \w+)? error", r"\bon average\b", r"\boff by\b"):
        return METRICS["mae"], "Metric mae: the intent asks for the typical error."
    if "forecast" in profile.traits or _says(intent, r"\bforecast"):
        return METRICS["mae"], "Metric mae: usual for forecasts, in the unit of the target and robust to single peaks."
    if _says(intent, r"\bexplain", r"\bvariance\b"):
        return METRICS["r2"], "Metric r2: the intent asks how much is explained."
    return METRICS["rmse"], "Metric rmse: a number to predict, no metric named."
