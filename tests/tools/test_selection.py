"""Ensembles and choices from out-of-fold predictions."""

from __future__ import annotations

import numpy as np
import pytest

from state.candidate import Candidate, Member, Plan, Score
from state.task import Feature, SplitPlan, Task
from tools.metrics import metric
from tools.promotion import near_best, settled
from tools.scoring import score
from tools.selection import OutOfFold, best_of, blend, common_rows, ensemble_members, equal_members


def task(name: str = "rmse") -> Task:
    return Task(
        kind="regression",
        target="y",
        intent="",
        metric=metric(name),
        features=[Feature(name="x", kind="numeric")],
        split=SplitPlan(kind="random", folds=2, test_share=0.2, reason="test"),
    )


def candidate(name: str, value: float, rows: int = 100, seconds: float = 1.0) -> Candidate:
    return Candidate(
        id=name,
        iteration=0,
        plan=Plan(id=name, title=name, rationale=""),
        status="done",
        program="sha256:0",
        score=Score(value=value, folds=[value], low=value, high=value, rows=rows),
        oof="sha256:1",
        fit_seconds=seconds,
    )


def noisy(truth: np.ndarray, seed: int, scale: float) -> OutOfFold:
    rng = np.random.default_rng(seed)
    return OutOfFold(np.arange(len(truth)), truth + rng.normal(0, scale, len(truth)))


def test_independent_errors_are_averaged_out() -> None:
    """Two candidates with errors of their own make an ensemble better than either."""
    truth = np.random.default_rng(0).normal(size=400)
    parts = {"a": noisy(truth, 1, 0.5), "b": noisy(truth, 2, 0.5)}
    members = ensemble_members(task(), truth, parts, seed=0)
    mixed = blend(parts, members)
    value = score(metric("rmse"), truth, mixed.values, [], None)
    assert value < min(score(metric("rmse"), truth, part.values, [], None) for part in parts.values())
    assert sum(member.weight for member in members) == pytest.approx(1.0)


def test_a_useless_candidate_gets_no_vote() -> None:
    """What only adds noise is not a member."""
    truth = np.random.default_rng(0).normal(size=400)
    parts = {"good": noisy(truth, 1, 0.2), "useless": noisy(np.zeros(400), 2, 5.0)}
    assert [member.candidate for member in ensemble_members(task(), truth, parts, seed=0)] == ["good"]


def test_candidates_meet_on_common_rows() -> None:
    """A candidate with fewer folds is blended on the rows both have."""
    one = OutOfFold(np.array([0, 1, 2, 3]), np.array([0.0, 1.0, 2.0, 3.0]))
    other = OutOfFold(np.array([1, 3]), np.array([3.0, 5.0]))
    assert common_rows([one, other]).tolist() == [1, 3]
    mixed = blend({"a": one, "b": other}, [Member(candidate="a", weight=0.5), Member(candidate="b", weight=0.5)])
    assert mixed.values.tolist() == [2.0, 4.0]


def test_a_score_of_one_lucky_fold_does_not_win() -> None:
    """Only candidates scored on the most rows stand for election, whichever way the metric points."""
    assert best_of(task(), [candidate("whole", 1.0), candidate("lucky", 0.1, rows=20)]).id == "whole"  # type: ignore[union-attr]


def test_of_equal_scores_the_quicker_one_wins() -> None:
    """The tie is broken by the cost of a fit."""
    assert best_of(task(), [candidate("slow", 1.0, seconds=9.0), candidate("quick", 1.0)]).id == "quick"  # type: ignore[union-attr]


def test_nothing_usable_gives_nothing() -> None:
    """Failed candidates cannot be chosen."""
    assert best_of(task(), [candidate("a", 1.0).but(status="failed")]) is None


def of_recipe(name: str, value: float, recipe: str) -> Candidate:
    one = candidate(name, value)
    return one.but(plan=one.plan.but(recipe=recipe).plain())


def test_candidates_that_are_hard_to_tell_from_the_best_start_together() -> None:
    """The best of each recipe whose distance is easily luck; those clearly worse stay out."""
    rng = np.random.default_rng(0)
    truth, errors = rng.normal(size=(2, 80))
    wrong = {"a": errors, "b": 1.01 * errors, "c": 1.02 * errors[::-1], "d": 2 * errors[::-1]}
    parts = {name: OutOfFold(np.arange(80), truth + one) for name, one in wrong.items()}
    recipes = {"a": "linear", "b": "linear", "c": "forest", "d": "boosting"}
    values = {name: score(task().metric, truth, part.values) for name, part in parts.items()}
    best, *others = [of_recipe(name, values[name], recipe) for name, recipe in recipes.items()]
    assert near_best(task(), truth, parts, [best, *others], best) == ["a", "c"]
    assert near_best(task(), truth, parts, others, best) == ["c"], "a best one that is not among them starts nothing"


def test_variants_settle_only_beyond_luck() -> None:
    """Of thirty variants that are no better than their draft the luckiest stays out; a truly better one stays in."""
    rng = np.random.default_rng(0)
    truth, windows = rng.normal(size=80), np.arange(80) // 10
    wrong = {name: np.repeat(rng.normal(size=8), 10) for name in ("draft", *(f"v{number}" for number in range(30)))}
    wrong["better"] = 0.2 * wrong["draft"]
    parts = {name: OutOfFold(np.arange(80), truth + one) for name, one in wrong.items()}
    of = {name: of_recipe(name, score(task().metric, truth, part.values), "lagged") for name, part in parts.items()}
    candidates = [
        one if name == "draft" else one.but(plan=one.plan.but(operator="improve", parent="draft").plain())
        for name, one in of.items()
    ]
    luckiest = best_of(task(), [one for one in candidates if one.id.startswith("v")])
    assert luckiest is not None
    assert task().metric.better(luckiest.score.value, of["draft"].score.value)  # type: ignore[union-attr]
    kept = settled(task(), truth, parts, candidates, units=windows)
    assert [one.id for one in kept] == ["draft", "better"]
    assert [one.id for one in settled(task(), truth, parts, candidates[1:], units=windows)] == [
        one.id for one in candidates[1:]
    ], "without the draft nobody stands back"


def test_programs_without_a_recipe_settle_against_the_draft_they_come_from() -> None:
    """A model's programs have no recipe: their parents tell what they come from, over several generations."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=80)
    parts = {name: OutOfFold(np.arange(80), truth + rng.normal(size=80)) for name in ("a", "b", "c")}
    made = {name: candidate(name, score(task().metric, truth, part.values)) for name, part in parts.items()}
    parents = {"b": "a", "c": "b"}
    candidates = [
        one.but(plan=one.plan.but(operator="improve", parent=parents[name]).plain()) if name in parents else one
        for name, one in made.items()
    ]
    assert [one.id for one in settled(task(), truth, parts, candidates)] == ["a"]
    draft = candidates[0].but(plan=candidates[0].plan.but(recipe="linear").plain())
    assert [one.id for one in settled(task(), truth, parts, [draft, *candidates[1:]])] == ["a"], (
        "also of a recipe's draft"
    )
    mean = candidates[1].but(plan=candidates[1].plan.but(operator="ensemble").plain())
    assert [one.id for one in settled(task(), truth, parts, [draft, mean])] == ["a", "b"], "an ensemble is no variant"


def test_equal_weights_are_equal() -> None:
    """All of them, adding up to one."""
    assert [(one.candidate, one.weight) for one in equal_members(["a", "b"])] == [("a", 0.5), ("b", 0.5)]


def test_first_votes_are_kept_unless_more_votes_improve_on_them() -> None:
    """Candidates that start together all stay members; the rounds may only shift their weights or add others."""
    truth = np.random.default_rng(0).normal(size=60)
    parts = {"a": noisy(truth, 1, 0.5), "b": noisy(truth, 2, 0.55), "c": noisy(truth, 3, 0.6)}
    members = ensemble_members(task(), truth, parts, seed=0, first=["a", "b", "c"])
    assert {member.candidate for member in members} == {"a", "b", "c"}
