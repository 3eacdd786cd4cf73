"""The final candidate: members of an ensemble combined, and the decision of metrics of labels, as one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from state.candidate import Candidate, Combination, Member, Plan
from state.task import Prepared, Task
from tools.blocks import blocks_of
from tools.deciding import Decision, tune_decision
from tools.mixing import Mixed, choose_mix
from tools.preferring import PREFERENCES, quickest_of
from tools.promotion import PERHAPS, challenge, near_best, settled
from tools.selection import OutOfFold, best_of
from tools.training import load_scored, score_of, store_oof, units_at
from tools.workbench import Workbench


def elected(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    usable: list[Candidate],
    scored: Mapping[str, OutOfFold],
    best: Candidate,
) -> tuple[list[Candidate], Candidate]:
    """Who may be released, and the best of them: of forecasts no variant whose lead over its draft may be luck.

    scored: by candidate, the predictions that its score is of.
    """
    if task.horizon is None:
        return usable, best
    units, seed = units_at(desk, task, prepared), desk.settings.seed
    stood = settled(task, desk.labels(prepared), scored, usable, units=units, seed=seed)
    chosen = best_of(task, stood) or best
    if chosen.id != best.id:
        why = "on so few windows the lead over the draft it comes from may be luck"
        desk.note(f"{best.id} stands back for {chosen.id}: {why}", "strategist")
    return stood, chosen


def preferred(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    usable: Sequence[Candidate],
    scored: Mapping[str, OutOfFold],
    best: Candidate,
) -> Candidate:
    """The best, or where speed is preferred the quickest of those that are hard to tell from it.

    scored: by candidate, the predictions that its score is of.
    """
    if not PREFERENCES[desk.settings.prefer].quickest:
        return best
    stood = [one for one in usable if one.score and best.score and one.score.rows >= best.score.rows]
    units, seed = units_at(desk, task, prepared), desk.settings.seed
    near = near_best(task, desk.labels(prepared), scored, stood, best, units=units, seed=seed, most=len(stood))
    chosen = quickest_of([one for one in stood if one.id in near])
    if chosen.id != best.id:
        desk.note(f"{chosen.id} is preferred, for its speed: it is hard to tell from {best.id} by score", "strategist")
    return chosen


def finish(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    *,
    iteration: int,
    usable: Sequence[Candidate],
    parts: Mapping[str, OutOfFold],
    best: Candidate,
    members: list[Member],
    stackable: Sequence[str] = (),
) -> Candidate | None:
    """What is to be released in place of `best`; None when `best` as it is remains the choice.

    parts: out-of-fold predictions by candidate. members: those of a weighted mean; one or none: no ensemble is made.
    stackable: candidates that a stack may use beside them. Nothing is trained; writes predictions to the artifact store.
    """
    labels, units, seed = desk.labels(prepared), units_at(desk, task, prepared), desk.settings.seed
    single = Mixed([Member(candidate=best.id, weight=1.0)], Combination(), parts[best.id])
    blocks = np.full(len(labels), -1, dtype=np.int64)
    blocks[single.part.rows] = blocks_of(desk, task, prepared, single.part.rows)

    def decide_by(one: Mixed) -> Decision | None:
        return tune_decision(task, labels, one.part, blocks[one.part.rows], units=units, seed=seed)

    mixed = single
    if len(members) > 1:
        able = stackable if PREFERENCES[desk.settings.prefer].stack else ()
        mixed = choose_mix(task, labels, parts, members, blocks=blocks, stackable=able, units=units, seed=seed)
        decision = decide_by(mixed)
        alone = decide_by(single)
        rival = alone.decided if alone else load_scored(desk, best)
        lost = challenge(task, labels, rival, decision.decided if decision else mixed.part, units=units, seed=seed)
        # The best of many scores is partly luck itself, and a mean of several models varies less on new rows.
        mixed, decision = (mixed, decision) if float(lost["chance"]) > PERHAPS else (single, alone)
    else:
        decision = decide_by(single)
    if mixed is single and best.members:
        return None
    if mixed is single and decision is None:
        return None
    return _candidate(desk, task, prepared, iteration, usable, best, mixed, decision)


def _candidate(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    iteration: int,
    usable: Sequence[Candidate],
    best: Candidate,
    mixed: Mixed,
    decision: Decision | None,
) -> Candidate:
    of = {one.id: one for one in usable}
    made_of = [of[member.candidate] for member in mixed.members]
    told = decision.told(task, len(mixed.part.rows)) if decision else ""
    combination = mixed.combination.but(decision=decision.weights if decision else [], source=told)
    title, rationale = _words(task, mixed, decision, made_of, told)
    name = f"i{iteration}-{'ensemble' if len(made_of) > 1 else 'decision'}"
    scored = decision.decided if decision else mixed.part
    return Candidate(
        id=name,
        iteration=iteration,
        plan=Plan(id=name, title=title, rationale=rationale, operator="ensemble", parent=best.id),
        status="done",
        score=score_of(desk, task, prepared, scored, _folds(prepared, best)),
        oof=store_oof(desk, mixed.part),
        decided=store_oof(desk, decision.decided) if decision else None,
        members=mixed.members,
        combination=combination,
        predict_ms=sum(one.predict_ms for one in made_of),
        model_bytes=sum(one.model_bytes for one in made_of),
        fit_seconds=sum(one.fit_seconds for one in made_of),
        expert="framework",
    )


def _folds(prepared: Prepared, best: Candidate) -> list[int]:
    """The folds that the members were scored on: those of the best of them, since all have at least its rows."""
    told = best.score.fold_numbers if best.score else []
    return list(told) or list(range(len(prepared.train_files)))


def _words(
    task: Task, mixed: Mixed, decision: Decision | None, made_of: Sequence[Candidate], told: str
) -> tuple[str, str]:
    """Title and rationale."""
    how = ""
    if decision is not None:
        how = " with a threshold" if task.kind == "binary" else " with class weights"
    if len(made_of) == 1:
        return f"{made_of[0].plan.title}{how}", told
    shares = ", ".join(
        f"{member.weight:.0%} {one.plan.title}" for member, one in zip(mixed.members, made_of, strict=True)
    )
    rationale = f"{mixed.combination.words} of {shares}; chosen on out-of-fold predictions"
    return f"ensemble of {len(made_of)}{how}", f"{rationale}. {told}" if told else rationale
