"""What the team has learned: per run, how much each recipe gained over that run's median candidate.

A lesson is a measurement, not an opinion. `lessons_of` takes it from a finished run, `recall` sums up the lessons of
runs on similar data, so that recipes that paid come first the next time. Few or dissimilar lessons count little: the
mean is shrunk towards 0, the gain of a recipe nobody has tried.

    gain = (score − median score of the run) / scale, in −1 … 1, positive when better

The scale is the larger of the widest distance from the median and half the width of the scores' intervals, so that a
run whose candidates differ by noise only teaches little.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from pydantic import Field

from state.candidate import Candidate
from state.records import Record
from state.task import Task, TaskKind
from tools.catalogue import Catalogue, now
from tools.database import clean, pack

SIMILAR = 0.5
"""Least Jaccard similarity of traits for a run to count."""
PRIOR = 2.0
"""Weight of the assumption that a recipe gains nothing, in runs."""


class Lesson(Record):
    """What one run showed about one recipe."""

    id: str
    """`<run id>/<recipe>`; the same lesson put again replaces the earlier one."""
    kind: TaskKind
    traits: list[str]
    recipe: str
    gain: float = Field(ge=-1.0, le=1.0)
    seconds: float = 0.0
    rank: int = 1
    """Place of the recipe's best candidate in its run, from 1."""
    run_id: str
    created: str = Field(default_factory=now)
    text: str = ""


def lessons_of(run_id: str, task: Task, traits: Sequence[str], candidates: Iterable[Candidate]) -> list[Lesson]:
    """The lessons of a finished run: one per recipe, for its best candidate, best first.

    Ensembles and programs written freely belong to no recipe and teach nothing here, but the median is taken over all
    scored candidates without ensembles. A run with fewer than two of them cannot compare and gives no lesson.
    """
    metric = task.metric
    scored = [(one, one.score) for one in candidates if one.usable and not one.members and one.score is not None]
    if len(scored) < 2:
        return []
    middle = median(score.value for _, score in scored)
    gains = {one.id: metric.gain(score.value, middle) for one, score in scored}
    noise = median(abs(score.high - score.low) / 2 for _, score in scored)
    scale = max(noise, *(abs(gain) for gain in gains.values()))
    scored.sort(key=lambda pair: gains[pair[0].id], reverse=True)
    lessons: dict[str, Lesson] = {}
    for rank, (one, score) in enumerate(scored, start=1):
        recipe = one.plan.recipe
        if recipe and recipe not in lessons:
            gain = gains[one.id] / scale if scale > 0 else 0.0
            lessons[recipe] = Lesson(
                id=f"{run_id}/{recipe}",
                kind=task.kind,
                traits=sorted(set(traits)),
                recipe=recipe,
                gain=gain,
                seconds=one.seconds,
                rank=rank,
                run_id=run_id,
                text=f"{one.plan.title}: {metric.name} {score.value:.4g}, place {rank} of {len(scored)} "
                f"(median {middle:.4g})",
            )
    return list(lessons.values())


def add_lesson(catalogue: Catalogue, lesson: Lesson | dict[str, Any]) -> str:
    """Store a lesson and return its id. One of the same id is replaced, so a repeated step counts nothing twice."""
    record = lesson if isinstance(lesson, Lesson) else Lesson.model_validate(lesson)
    row = {**record.model_dump(), "traits": pack(sorted(set(record.traits))), "text": clean(record.text)}
    with catalogue.database.write(record.run_id) as db:
        db.execute(
            "INSERT INTO lessons (id, kind, traits, recipe, gain, seconds, rank, run_id, created, text) VALUES "
            "(:id, :kind, :traits, :recipe, :gain, :seconds, :rank, :run_id, :created, :text) "
            "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, traits = excluded.traits, recipe = excluded.recipe, "
            "gain = excluded.gain, seconds = excluded.seconds, rank = excluded.rank, text = excluded.text",
            row,
        )
    return record.id


def remember(catalogue: Catalogue, found: Iterable[Lesson]) -> None:
    """Store the lessons of a run, all or none."""
    with catalogue.database.write():
        for lesson in found:
            add_lesson(catalogue, lesson)


def lessons(catalogue: Catalogue, traits: Sequence[str], kind: str) -> list[dict[str, Any]]:
    """Lessons of runs of this kind on similar data, each with its `similarity` (0.5–1), newest first."""
    rows = catalogue.database.read("SELECT * FROM lessons WHERE kind = ? ORDER BY number DESC", [kind])
    found = []
    for row in rows:
        row["traits"] = json.loads(row["traits"])
        row["similarity"] = _similarity(traits, row["traits"])
        del row["number"]
        if row["similarity"] >= SIMILAR:
            found.append(row)
    return found


def recall(catalogue: Catalogue, kind: str, traits: Sequence[str], limit: int = 10) -> list[dict[str, Any]]:
    """What similar runs say about recipes, best first: {recipe, gain, uses, runs, seconds, text}.

    gain: mean of the lessons' gains, weighted by similarity and shrunk towards 0. uses: how many lessons it rests on.
    text: one sentence that names the evidence.
    """
    by_recipe: dict[str, list[dict[str, Any]]] = {}
    for lesson in lessons(catalogue, traits, kind):
        by_recipe.setdefault(lesson["recipe"], []).append(lesson)
    summed = [_summary(recipe, found) for recipe, found in by_recipe.items()]
    summed.sort(key=lambda one: (-one["gain"], one["recipe"]))
    return summed[:limit]


def _summary(recipe: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    weight = sum(one["similarity"] for one in found)
    gain = sum(one["similarity"] * one["gain"] for one in found) / (weight + PRIOR)
    runs = "1 earlier run" if len(found) == 1 else f"{len(found)} earlier runs"
    word = "better" if gain >= 0 else "worse"
    return {
        "recipe": recipe,
        "gain": gain,
        "uses": len(found),
        "runs": [one["run_id"] for one in found],
        "seconds": median(one["seconds"] for one in found),
        "text": f"{word} than the median candidate in {runs} on similar data (gain {gain:+.2f}); "
        f"latest: {found[0]['text']}",
    }


def _similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """Jaccard similarity; two data sets without any trait are alike."""
    left, right = set(one), set(other)
    return len(left & right) / len(left | right) if left | right else 1.0
