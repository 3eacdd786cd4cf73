"""The catalogue of metrics: names, directions, and the choice of one that nobody named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from state.errors import InputError
from state.profile import Profile, TargetProfile
from tools.metrics import ENTRIES, METRICS, default_metric, metric, metric_for, metrics_for


def profile_of(kind: str, counts: dict[str, int] | None = None, traits: list[str] | None = None) -> Profile:
    target = TargetProfile(name="y", missing=0, distinct=len(counts or {}) or 50, counts=counts or {}, looks_like=kind)
    return Profile(rows=100, columns=[], target=target, traits=traits or [])


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("auc", "roc_auc"),
        ("ROC-AUC", "roc_auc"),
        ("f1_macro", "macro_f1"),
        ("neg_log_loss", "log_loss"),
        ("root mean squared error", "rmse"),
        ("ap", "average_precision"),
        ("neg_root_mean_squared_error", "rmse"),
        ("R2", "r2"),
        ("kappa", "cohen_kappa"),
    ],
)
def test_a_metric_is_found_under_the_names_people_use(name: str, known: str) -> None:
    """Aliases of scikit-learn and of common speech lead to one metric, in any case and spelling."""
    assert metric(name).name == known


def test_an_unknown_metric_is_refused_with_the_nearest_names() -> None:
    """A typo is answered with what was probably meant."""
    with pytest.raises(InputError, match="did you mean average_precision"):
        metric("avarage_precision")
    with pytest.raises(InputError, match="choose one of: roc_auc"):
        metric("zzzz")


def test_every_metric_knows_which_way_is_better() -> None:
    """Errors are better lower, all others higher, and `better` follows that."""
    lower = {name for name, item in METRICS.items() if item.direction == "lower"}
    assert {"rmse", "mae", "log_loss", "brier", "mape", "pinball", "max_error"} <= lower
    assert not lower & {"roc_auc", "accuracy", "r2", "mcc", "f1"}
    for entry in ENTRIES.values():
        assert entry.metric.better(entry.best, 0.5)


def test_metrics_belong_to_task_kinds() -> None:
    """A regression is offered no class metric and the other way round."""
    assert {item.name for item in metrics_for("regression")}.isdisjoint(item.name for item in metrics_for("binary"))
    assert "roc_auc_ovr" in {item.name for item in metrics_for("multiclass")}


def test_an_impossible_metric_is_refused_with_the_possible_ones() -> None:
    """An area under the curve cannot score a regression; the message lists what can."""
    with pytest.raises(InputError, match="cannot score a regression task") as caught:
        metric_for("auc", "regression")
    assert "rmse" in str(caught.value)


def test_a_metric_of_two_classes_becomes_its_form_for_many() -> None:
    """f1 and auc of a task with many classes mean their averages, which is said."""
    assert metric_for("f1", "multiclass")[0].name == "macro_f1"
    found, sentence = metric_for("auc", "multiclass")
    assert found.name == "roc_auc_ovr"
    assert "roc_auc_ovr" in sentence


@pytest.mark.parametrize(
    ("kind", "counts", "traits", "intent", "expected"),
    [
        ("binary", {"0": 500, "1": 480}, [], "Tell cats from dogs", "roc_auc"),
        ("binary", {"0": 960, "1": 40}, [], "Flag oil slicks", "average_precision"),
        ("binary", {"0": 960, "1": 40}, [], "Order loans by risk", "roc_auc"),
        ("binary", {"0": 500, "1": 480}, [], "Give the probability of rain", "log_loss"),
        ("multiclass", {"a": 100, "b": 20, "c": 60}, [], "Tell the species", "macro_f1"),
        ("multiclass", {"a": 100, "b": 95, "c": 102}, [], "Tell the digit", "accuracy"),
        ("regression", None, [], "Predict the price", "rmse"),
        ("regression", None, [], "Predict the price with a small typical error", "mae"),
        ("regression", None, ["forecast"], "Sales of next year", "mae"),
        ("regression", None, [], "Predict sales, judged by MAPE", "mape"),
        ("regression", None, [], "Predict it with a low mean absolute error", "mae"),
    ],
)
def test_the_default_metric_follows_intent_and_balance(
    kind: str, counts: dict[str, int] | None, traits: list[str], intent: str, expected: str
) -> None:
    """Without a metric the choice fits the question, and its reason is a sentence."""
    found, reason = default_metric(kind, profile_of(kind, counts, traits), intent)  # type: ignore[arg-type]
    assert found.name == expected
    assert reason.startswith(f"Metric {expected}:")


def test_the_catalogue_is_light() -> None:
    """Listing metrics imports neither scikit-learn nor pandas."""
    code = "import sys, tools.metrics; print({'sklearn', 'pandas', 'numpy'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
