"""Synthetic facts for the report's tests: one run of each kind of task, with everything a real run would know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from state.candidate import Attempt, Candidate, Check, Decision, Finding, IterationPlan, Member, Plan, Score, Verdict
from state.profile import ColumnProfile, Profile, TargetProfile
from state.task import Feature, Label, Metric, Prepared, SplitPlan, Task, TaskKind
from tools.calibration import calibrate
from tools.receipts import Number, baseline_id, number_id
from tools.report.facts import ReportFacts, summarise_exchanges
from tools.segments import Segment
from tools.tracing import collect_numbers

NASTY = '<img src=x onerror="document.title=1"> [red] {{ 7 * 7 }} $x_1$'

PROGRAM = '''"""Gradient boosting over mixed columns."""

import lightgbm

ROUNDS = 400  # upper bound, early stopping decides


def fit(X, y, *, task, seed, time_limit, n_jobs):
    """Fit until the time is used or the inner validation score stops improving."""
    model = lightgbm.LGBMClassifier(n_estimators=ROUNDS, random_state=seed, n_jobs=n_jobs)
    return model.fit(X, y)


def predict(model, X):
    return model.predict_proba(X)
'''

METRICS = {
    "binary": Metric(name="roc_auc", direction="higher", needs="probabilities", title="ROC AUC"),
    "multiclass": Metric(name="macro_f1", direction="higher", needs="labels", title="macro F1"),
    "regression": Metric(name="rmse", direction="lower", needs="values", title="RMSE"),
}
SCORES = {
    "binary": ([0.8712, 0.8655, 0.8421, 0.8806, 0.7902], 0.022, (0.5, 0.8398, 0.8604), 0.8741),
    "multiclass": ([0.9412, 0.9388, 0.9105, 0.9491, 0.8123], 0.018, (0.2201, 0.9012, 0.9299), 0.9377),
    "regression": ([1812.4, 1855.2, 2105.7, 1774.9, 2611.0], 61.0, (5201.3, 2310.8, 1907.2), 1793.6),
}


def case(kind: TaskKind, rows: int = 900, *, classes: int = 4, forecast: bool = False, seed: int = 0) -> ReportFacts:
    """A finished, released run."""
    rng = np.random.default_rng(seed)
    metric = METRICS[kind]
    names: list[Label] = []
    if kind == "binary":
        names = [0, 1]
    elif kind == "multiclass":
        names = [f"class {index:02d}" for index in range(classes)]
    task = Task(
        kind=kind,
        target="survived" if kind == "binary" else "species" if kind == "multiclass" else "price",
        intent="Predict which passengers survived the sinking of the ship.",
        metric=metric,
        classes=names,
        positive=1 if kind == "binary" else None,
        features=[Feature(name=column.name, kind=column.kind) for column in _columns()],
        excluded={"ticket": "identifier: 681 of 891 values occur once", "body": "encodes the target"},
        time_column="month" if forecast else None,
        forecast=forecast,
        horizon=12 if forecast else None,
        split=SplitPlan(
            kind="time" if forecast else "random" if kind == "regression" else "stratified",
            folds=5,
            test_share=0.2,
            reason="classes are uneven (38 % positive), so every fold keeps their shares.",
        ),
        decisions=[
            "The metric is ROC AUC: the intent names no cost of errors and the classes are uneven.",
            "2 rows have no target and are left out.",
        ],
    )
    labels, predictions, times = _predictions(task, rows, rng)
    test = _predictions(task, max(60, rows // 4), rng)
    if forecast:
        test = (test[0], test[1], test[2] + np.timedelta64(rows, "D"))
    candidates = _candidates(kind)
    low_high = SCORES[kind][1]
    score = SCORES[kind][3]
    return ReportFacts(
        run=_run(),
        task=task,
        profile=_profile(task, labels),
        prepared=_prepared(rows, len(test[0])),
        iteration_plans=_iteration_plans(),
        candidates=candidates,
        best="i1-blend",
        decisions=_decisions(),
        findings=_findings(),
        verdict=Verdict(
            decision="accept",
            reason="Every check passed and the test score agrees with the out-of-fold score.",
            checks=[
                Check(name="no leak through single columns", status="passed", detail="strongest single column: 0.71"),
                Check(name="same predictions in a clean process", status="passed", detail="largest difference 0.0"),
                Check(name="repeat of one fold gives the same score", status="passed", detail="0.8712 twice"),
                Check(name="duplicate rows across folds", status="passed", detail="no row repeats across a border"),
                Check(name="group overlap", status="skipped", detail="no group column"),
            ],
            test=Score(value=score, folds=[], low=score - 2 * low_high, high=score + 2 * low_high, rows=len(test[0])),
            opening={
                "when": "2026-11-21T07:33:10",
                "candidate": "i1-blend",
                "code_hash": "9c1e0f" * 10,
                "data_hash": "77ab31" * 10,
                "number": 1,
                "earlier": [],
            },
        ),
        oof_labels=labels,
        oof_predictions=predictions,
        oof_times=times,
        test_labels=test[0],
        test_predictions=test[1],
        test_times=test[2],
        importance=[("sex", 0.1431, 0.011), ("fare", 0.0712, 0.006), ("age", 0.0518, 0.007), ("deck", 0.011, 0.004)]
        + [(f"word {index}", 0.004 - index * 0.001, 0.001) for index in range(8)],
        baselines=[
            _rung("constant", SCORES[kind][2][0], low_high, "the same answer for every row"),
            _rung("linear", SCORES[kind][2][1], low_high, "one-hot columns, ridge penalty"),
            _rung("boosted", SCORES[kind][2][2], low_high, "gradient boosting with default settings"),
        ],
        segments=_segments(kind),
        calibrations=[
            (name, found)
            for name, one in (("oof", (labels, predictions)), ("test", test[:2]))
            if (found := calibrate(task, *one)) is not None
        ],
        numbers=collect_numbers({one.id: one for one in candidates}, [*_events(), *_told(kind, metric.name)]),
        worst_rows=[
            {"row": 12, "actual": 1, "predicted": 0.03, "error": 0.97, "values": {"sex": "male", "age": 41.0}},
            {"row": 77, "actual": 0, "predicted": 0.94, "error": 0.94, "values": {"sex": "female", "age": 8.0}},
        ],
        answers=[{"gate": "plan", "time": "2026-11-21T07:31:40", "text": "approved, with i0-forest dropped"}],
        release_folder="runs/brisk-otter/release",
        exchanges=summarise_exchanges(_exchanges()),
        events=_events(),
        graph=GRAPH,
        programs={candidate.id: PROGRAM for candidate in candidates if candidate.program},
    )


def _rung(name: str, value: float, half: float, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "low": value - half, "high": value + half, "rows": 900, "note": note}


def _segments(kind: TaskKind) -> list[Segment]:
    """Nothing stands out but one part, which is worse than luck makes the worst of three."""
    values, half, _, _ = SCORES[kind]

    def part(column: str, value: str, rows: int, score: float, worse: bool = False) -> Segment:
        return Segment(column, value, rows, score, score - half, score + half, worse, 0.0004 if worse else 0.4)

    return [
        part("sex", "female", 314, values[3]),
        part("sex", "male", 577, values[1]),
        part("deck", "missing", 177, values[4], worse=True),
    ]


def _told(kind: TaskKind, metric: str) -> list[dict[str, Any]]:
    """The events of a run that told the numbers of its review."""
    values, half, ladder, test = SCORES[kind]
    best = values[3]

    def number(name: str, value: float, spread: float = 0.0, **more: Any) -> Number:
        return Number(id=name, title=f"the {name}", value=value, low=value - spread, high=value + spread, **more)

    numbers = [
        number(f"expected.{metric}", best, 3 * half),
        number("optimism", half / 10, facts={"candidates": 5, "switched": None}),
        number(f"corrected.{metric}", best, half),
        number(f"test.{metric}", test, 2 * half, rows=225, rows_are="sealed test rows", candidate="i1-blend"),
        number("lift", 0.75),
        *(number(baseline_id(name), one) for name, one in zip(("constant", "linear", "boosted"), ladder, strict=True)),
        *(number(f"segment.{one.name}", one.score, half) for one in _segments(kind)),
    ]
    told = {"numbers": [number.plain() for number in numbers]}
    event = {"seq": 100, "time": "2026-11-21T07:33:10", "kind": "numbers", "role": "reviewer", "text": "", "data": told}
    task = {
        "seq": 1,
        "time": "2026-11-21T07:30:49",
        "kind": "task",
        "role": "examiner",
        "text": "",
        "data": {"metric": metric},
    }
    return [task, event]


def nasty(facts: ReportFacts) -> ReportFacts:
    """The same run on data whose names are hostile."""
    long = NASTY + " and a name that goes on " * 20
    columns = [column.but(name=f"{long} {index}") for index, column in enumerate(facts.profile.columns)]
    task = facts.task.but(
        target=NASTY,
        intent=f"{NASTY} </style></script><script>alert(1)</script>",
        excluded={long: NASTY},
        decisions=[NASTY],
    )
    if task.is_classification:
        task = task.but(classes=[f"{NASTY} {index}" for index in range(len(task.classes))], positive=f"{NASTY} 1")
        relabel = {str(old): new for old, new in zip(facts.task.classes, task.classes, strict=True)}
        assert facts.oof_labels is not None
        assert facts.test_labels is not None
        facts = replace(
            facts,
            oof_labels=np.array([relabel[str(label)] for label in facts.oof_labels.tolist()], dtype=object),
            test_labels=np.array([relabel[str(label)] for label in facts.test_labels.tolist()], dtype=object),
        )
    candidates = [
        candidate.but(plan=candidate.plan.but(title=long, rationale=NASTY).plain(), reason=NASTY)
        for candidate in facts.candidates
    ]
    return replace(
        facts,
        task=task,
        profile=facts.profile.but(columns=[column.plain() for column in columns], notes=[NASTY]),
        candidates=candidates,
        importance=[(f"{long} {index}", drop, std) for index, (_, drop, std) in enumerate(facts.importance)],
        findings=[finding.but(text=NASTY, topic=NASTY) for finding in facts.findings],
        programs=dict.fromkeys(facts.programs, f"# {NASTY}\nx = '</pre><script>alert(1)</script>'\n"),
        answers=[{"gate": NASTY, "time": NASTY, "text": NASTY}],
        notes=[NASTY],
        release_folder=f"/tmp/{NASTY}",
        segments=[replace(one, column=long, value=NASTY) for one in facts.segments],
        numbers={
            name: one
            for number in facts.numbers.values()
            for name, one in [
                (number_id(number.id, NASTY), number.but(id=number_id(number.id, NASTY), title=NASTY, method=NASTY))
            ]
        },
        graph=(facts.graph or "").replace("analyst(analyst)", f"analyst({NASTY})"),
    )


def _predictions(task: Task, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Any]:
    times = np.datetime64("1981-01-01", "ns") + np.arange(rows) * np.timedelta64(1, "D")
    if task.kind == "regression":
        if task.forecast:
            truth = 12 + 6 * np.sin(np.arange(rows) / 58) + rng.normal(0, 2, rows)
            return truth, 12 + 6 * np.sin(np.arange(rows) / 58) + rng.normal(0, 1, rows), times
        truth = rng.lognormal(9, 0.6, rows)
        return truth, truth * rng.normal(1, 0.13, rows), times
    k = len(task.classes)
    drawn = rng.choice(k, rows, p=[0.62, 0.38] if k == 2 else None)
    logits = rng.normal(0, 1.1, (rows, k))
    logits[np.arange(rows), drawn] += 1.7
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.array(task.classes, dtype=object if k > 2 else int)[drawn], chances, times


def _candidates(kind: TaskKind) -> list[Candidate]:
    values, half, _, _ = SCORES[kind]
    rng = np.random.default_rng(3)

    def done(index: int) -> Score:
        value = values[index]
        folds = (value + rng.normal(0, half, 5)).tolist()
        return Score(value=value, folds=folds, low=value - half, high=value + half, rows=900)

    def plan(name: str, title: str, why: str, **more: Any) -> Plan:
        return Plan(id=name, title=title, rationale=why, recipe=name.split("-")[1], **more)

    attempt = Attempt(number=1, outcome="done", program="sha256:00", seconds=11.4)
    broken = Attempt(
        number=3, outcome="error", program="sha256:01", seconds=2.0, error="Traceback …\nKeyError: 'age_bin'"
    )
    shared: dict[str, Any] = {"status": "done", "program": "sha256:00", "oof": "sha256:02", "attempts": [attempt]}
    return [
        Candidate(
            id="i0-linear", iteration=0, score=done(2), seconds=2.1, **shared,
            plan=plan("i0-linear", "Linear model, one-hot columns, scaled", "The baseline that must be beaten; readable weights.",
                      representation="one-hot for categories, median for gaps", architecture="logistic regression, ridge"),
        ),
        Candidate(
            id="i0-boosting", iteration=0, score=done(1), seconds=11.4, effective={"rounds": 212, "learning_rate": 0.05}, **shared,
            plan=plan("i0-boosting", "Gradient boosting, native categories", "Mixed types and missing values: trees need no filling in.",
                      representation="categories as codes", architecture="LightGBM, 31 leaves", training="early stopping on a tenth"),
        ),
        Candidate(
            id="i0-forest", iteration=0, status="dropped", seconds=0.0, reason="dropped by a person",
            plan=plan("i0-forest", "Extra trees with target encoding", "Errors unlike those of boosting, for the blend."),
        ),
        Candidate(
            id="i1-leaves", iteration=1, score=done(0), seconds=14.9, **shared,
            plan=plan("i1-leaves", "Boosting with more leaves and text features from the name", "Residuals cluster by title in the name column.",
                      operator="improve", parent="i0-boosting", cites=["f1"]),
        ),
        Candidate(
            id="i1-bins", iteration=1, status="failed", program="sha256:01", attempts=[broken], seconds=6.2,
            reason="KeyError: 'age_bin' in each of 3 attempts",
            plan=plan("i1-bins", "Boosting over binned ages", "Age acts in steps.", operator="improve", parent="i0-boosting"),
        ),
        Candidate(
            id="i1-tiny", iteration=1, score=done(4), seconds=1.0, **shared,
            plan=plan("i1-tiny", "One small tree", "How far do three questions go?", operator="draft"),
        ),
        Candidate(
            id="i1-blend", iteration=1, status="done", oof="sha256:03", score=done(3), seconds=0.3,
            members=[Member(candidate="i1-leaves", weight=0.7), Member(candidate="i0-linear", weight=0.3)],
            plan=plan("i1-blend", "Weighted blend", "Their errors differ (r = 0.61).", operator="ensemble"),
        ),
    ]  # fmt: skip


def _columns() -> list[ColumnProfile]:
    rng = np.random.default_rng(1)
    bars, edges = np.histogram(rng.lognormal(3, 0.7, 880), 20)
    histogram = [[float(edge), float(count)] for edge, count in zip(edges, bars, strict=False)]
    return [
        ColumnProfile(name="sex", kind="category", missing=0, distinct=2, stats={"top": {"male": 577, "female": 314}}),
        ColumnProfile(
            name="fare", kind="numeric", missing=15, distinct=248, histogram=histogram,
            stats={"min": 0.0, "median": 14.4542, "max": 512.3292, "mean": 32.2, "std": 49.7},
        ),
        ColumnProfile(
            name="age", kind="numeric", missing=177, distinct=88, histogram=histogram[::-1],
            stats={"min": 0.42, "median": 28.0, "max": 80.0, "mean": 29.7, "std": 14.5},
        ),
        ColumnProfile(name="deck", kind="category", missing=688, distinct=7, stats={"top": {"C": 59, "B": 47, "D": 33, "E": 32}}),
        ColumnProfile(name="name", kind="text", missing=0, distinct=891, stats={"mean_words": 4.07, "mean_chars": 27.0}),
        ColumnProfile(name="month", kind="datetime", missing=0, distinct=144, stats={"first": "1949-01-01T00:00:00", "last": "1960-12-01"},
                      histogram=histogram),
        ColumnProfile(
            name="ticket", kind="category", missing=0, distinct=681, suspicion="identifier",
            evidence="681 of 891 values occur once", examples=["A/5 21171", "PC 17599"],
        ),
        ColumnProfile(name="body", kind="numeric", missing=770, distinct=121, suspicion="encodes the target",
                      evidence="present only where survived = 0", stats={"min": 1.0, "median": 155.0, "max": 328.0}),
    ]  # fmt: skip


def _profile(task: Task, labels: np.ndarray) -> Profile:
    counts: dict[str, int] = {}
    if task.is_classification:
        for label in labels.tolist():
            counts[str(label)] = counts.get(str(label), 0) + 1
        counts = dict(sorted(counts.items(), key=lambda item: -item[1])[:50])
    stats = (
        {} if counts else {"min": 326.0, "q25": 950.0, "median": 2401.0, "mean": 3932.8, "max": 18823.0, "skew": 1.62}
    )
    return Profile(
        rows=len(labels),
        columns=_columns(),
        target=TargetProfile(
            name=task.target, missing=2, distinct=len(counts) or 400, counts=counts, stats=stats, looks_like=task.kind
        ),
        duplicate_rows=14,
        correlated=[("fare", "deck", 0.97)],
        notes=["fare is text in the file but 99.8 % numbers: read as numbers, 15 gaps.", "14 rows occur twice."],
        traits=["small", "missing", "categories", "text"],
    )


def _prepared(rows: int, sealed: int) -> Prepared:
    ref = "sha256:" + "0" * 64
    return Prepared(
        features=ref, labels=ref, folds=ref, train_files=[ref] * 5, valid_files=[ref] * 5, train_all=ref, sealed_features=ref,
        sealed_labels=ref, sealed_key="ab12" * 16, rows=rows, sealed_rows=sealed, read_spec=ref, source="77ab31cd" * 8,
    )  # fmt: skip


def _iteration_plans() -> list[IterationPlan]:
    shared = {
        "split": "keep the five folds",
        "representation": "let trees take categories as they are",
        "architecture": "boosting first, a linear model beside it",
        "training": "early stopping inside each fold",
        "inference": "one process, batch",
        "prediction_exploration": "compare errors by age and title",
        "evaluation": "paired on out-of-fold predictions",
    }
    return [
        IterationPlan(
            iteration=0, mode="explore", exploration="look at gaps", rationale="Nothing is known yet: different families.", **shared
        ),
        IterationPlan(
            iteration=1, mode="refine", exploration="look at residuals", rationale="Boosting leads; answer its errors.", **shared
        ),
    ]  # fmt: skip


def _decisions() -> list[Decision]:
    pair = {
        "one": "i0-boosting",
        "other": "i0-linear",
        "gain": 0.0234,
        "low": 0.0081,
        "high": 0.039,
        "better_share": 0.8,
    }
    return [
        Decision(
            action="iterate",
            reason="findings to answer",
            detail="Two findings are open.",
            best="i0-boosting",
            compared=[pair],
        ),
        Decision(
            action="ensemble",
            reason="no improvement",
            detail="The last round gained 0.0057.",
            best="i1-leaves",
            compared=[],
        ),
        Decision(action="stop", reason="iterations used up", best="i1-blend"),
    ]


def _findings() -> list[Finding]:
    return [
        Finding(
            id="f1",
            source="predictions",
            topic="residuals",
            text="Errors cluster by the title in the name.",
            candidate="i0-boosting",
        ),
        Finding(
            id="f2",
            source="comparison",
            topic="overfit",
            text="Training score is 0.99, folds 0.87.",
            severity="warning",
        ),
    ]


def _run() -> dict[str, Any]:
    return {
        "id": "3f2a9d5c-0a3e-4d38-9a5e-7f6c1f0b2d11",
        "name": "brisk-otter",
        "created": "2026-11-21T07:30:46",
        "finished": "2026-11-21T07:33:44",
        "seconds": 178.2,
        "status": "done",
        "settings": {"data": "titanic.csv", "seed": 0, "time_limit": 300.0},
        "versions": {"modelwright": "0.1.0", "python": "3.11.9", "scikit-learn": "1.9.1", "lightgbm": "4.7.0"},
        "tier": "basic (T3)",
        "command": "modelwright build titanic.csv --target survived --time-limit 5m",
    }


def _exchanges() -> list[dict[str, Any]]:
    builtin = {
        "expert": "builtin",
        "tokens_in": 0,
        "tokens_out": 0,
        "cost": 0.0,
        "seconds": 0.02,
        "cached": False,
        "error": "",
    }
    model = {"expert": "openai:gpt-5-mini", "tokens_in": 5210, "tokens_out": 1822, "cost": 0.0049, "seconds": 21.5}
    return [
        {"role": "researcher", **builtin},
        {"role": "researcher", **builtin},
        {"role": "engineer", **builtin},
        {"role": "engineer", **model, "cached": True, "error": ""},
        {"role": "engineer", **model, "cached": False, "error": "not valid JSON"},
    ]


def _events() -> list[dict[str, Any]]:
    spans = (("analyst", 0), ("examiner", 3), ("researcher", 5), ("engineer", 6), ("runner", 7), ("strategist", 96),
             ("researcher", 97), ("runner", 98), ("operations", 150), ("reviewer", 158), ("publisher", 170))  # fmt: skip
    events = [
        {
            "seq": seq,
            "time": f"2026-11-21T07:{30 + at // 60:02d}:{at % 60:02d}",
            "kind": "phase",
            "role": role,
            "text": "",
            "data": {},
        }
        for seq, (role, at) in enumerate(spans)
    ]
    return [*events, {"seq": 99, "time": "2026-11-21T07:32:58", "kind": "finished", "role": "", "text": "", "data": {}}]


GRAPH = """---
config:
  flowchart:
    curve: linear
---
graph TD;
	__start__([<p>__start__</p>]):::first
	analyst(analyst)
	examiner(examiner)
	researcher(researcher)
	approve_plan(approve_plan)
	strategist(strategist)
	operations(operations)
	reviewer(reviewer)
	approve_release(approve_release)
	publisher(publisher)
	__end__([<p>__end__</p>]):::last
	__start__ --> analyst;
	analyst --> examiner;
	approve_plan -. &nbsp;approved&nbsp; .-> candidate\\3a__start__;
	approve_plan -. &nbsp;changes asked&nbsp; .-> researcher;
	approve_release --> publisher;
	candidate\\3a__end__ --> strategist;
	examiner --> researcher;
	operations --> reviewer;
	researcher --> approve_plan;
	reviewer -. &nbsp;accept&nbsp; .-> approve_release;
	reviewer -. &nbsp;revise program&nbsp; .-> candidate\\3a__start__;
	reviewer -. &nbsp;revise inference&nbsp; .-> operations;
	reviewer -. &nbsp;reject&nbsp; .-> publisher;
	reviewer -. &nbsp;revise plan&nbsp; .-> researcher;
	strategist -. &nbsp;stop&nbsp; .-> operations;
	strategist -. &nbsp;iterate&nbsp; .-> researcher;
	publisher --> __end__;
	subgraph candidate
	candidate\\3a__start__(<p>__start__</p>)
	candidate\\3aengineer(engineer)
	candidate\\3acheck(check)
	candidate\\3arunner(runner)
	candidate\\3a__end__(<p>__end__</p>)
	candidate\\3a__start__ --> candidate\\3aengineer;
	candidate\\3acheck -. &nbsp;refused&nbsp; .-> candidate\\3aengineer;
	candidate\\3acheck -. &nbsp;ok&nbsp; .-> candidate\\3arunner;
	candidate\\3aengineer --> candidate\\3acheck;
	candidate\\3arunner -. &nbsp;done&nbsp; .-> candidate\\3a__end__;
	candidate\\3arunner -. &nbsp;failed&nbsp; .-> candidate\\3aengineer;
	end
	classDef default fill:#f2f0ff,line-height:1.2
	classDef first fill-opacity:0
	classDef last fill:#bfb6fc
"""
