"""Cross-validates the builtin recipes directly, without graph, sandbox or journal: the quick loop of their development.

    python benchmarks/recipes.py --data ../shared/datasets --sets titanic sonar --count 4 --iterations 2

Each set gets an outer split (25 % test: random, whole groups or latest times), the builtin expert's own plans, their
out-of-fold predictions, and the greedy ensemble of these; the test part is scored once per row of the table shown.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from state.candidate import Candidate, Finding, Plan
from state.profile import Profile
from state.questions import PlanQuestion, ProgramQuestion
from state.settings import Settings
from state.task import Task
from tools.experts.builtin import BuiltinExpert
from tools.exploration import explore_predictions
from tools.framing import frame_task
from tools.intake.table import open_table
from tools.labels import canonical_labels
from tools.portable.reading import read_table
from tools.profiling.profile import profile_table
from tools.program import check_program
from tools.scoring import score
from tools.selection import OutOfFold, ensemble_members
from tools.splits import deal


class Bench:
    """One data set with its outer split, framed the way a build frames it."""

    def __init__(self, entry: dict[str, Any], root: Path, seed: int) -> None:
        self.entry, self.seed, self.expert = entry, seed, BuiltinExpert()
        whole = open_table(root / entry["file"])
        train, test = self._outer(whole.frame)
        with tempfile.TemporaryDirectory() as folder:
            parts = {name: Path(folder) / f"{name}.csv" for name in ("train", "test")}
            for name, rows in (("train", train), ("test", test)):
                frame = read_table(root / entry["file"], whole.spec).iloc[rows]
                frame.to_csv(parts[name], index=False)
            self.table = open_table(parts["train"])
            held = read_table(parts["test"], self.table.spec)
        settings = Settings(target=entry["target"], metric=entry["metric"], intent=entry["intent"], seed=seed)
        self.profile: Profile = profile_table(self.table.frame, entry["target"], intent=entry["intent"])
        self.task: Task = frame_task(settings, self.table.frame, self.profile, entry["target"])
        self.labels, known = canonical_labels(self.table.frame[self.task.target], self.task.kind)
        self.frame = self.table.frame[known].reset_index(drop=True)
        self.test_labels, known = canonical_labels(held[self.task.target], self.task.kind)
        self.test = held[known].reset_index(drop=True)
        self.dealt = deal(self.task, self.frame, self.labels, seed=seed)

    def _outer(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        entry, kind = self.entry, self.entry.get("split", "random")
        if kind == "time":
            times = frame[entry["time_column"]]
            cut = np.sort(times.unique())[int(times.nunique() * 0.75)]
            return np.flatnonzero(times < cut), np.flatnonzero(times >= cut)
        if kind == "group":
            groups = frame[entry["group_column"]]
            held = set(np.random.default_rng(self.seed).permutation(groups.unique())[: groups.nunique() // 4])
            return np.flatnonzero(~groups.isin(held)), np.flatnonzero(groups.isin(held))
        strata = frame[entry["target"]] if entry["task"] != "regression" else None
        return tuple(train_test_split(np.arange(len(frame)), test_size=0.25, random_state=self.seed, stratify=strata))

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[[feature.name for feature in self.task.features]].reset_index(drop=True)

    def run(self, plan: Plan, limit: float) -> dict[str, Any]:
        """Out-of-fold and test predictions of a plan's program, and its mean seconds per fit."""
        code = self.expert.ask(ProgramQuestion(task=self.task, profile=self.profile, plan=plan)).code
        if problems := check_program(code):
            raise SystemExit(f"{self.entry['name']} {plan.id}: {problems}")
        program: dict[str, Any] = {"__name__": "program"}
        exec(compile(code, plan.id, "exec"), program)
        opened = self.frame.iloc[self.dealt.open_rows].reset_index(drop=True)
        labels = pd.Series(self.labels[self.dealt.open_rows])
        values, rows, seconds = [], [], []
        for train, valid in [*self.dealt.folds, (None, None)]:
            started = time.perf_counter()
            if train is None:  # as a release: fitted on all labelled rows
                X, y = self.features(self.frame), pd.Series(self.labels)
            else:
                X, y = self.features(opened.iloc[train]), labels.iloc[train].reset_index(drop=True)
            model = program["fit"](X, y, task=self.task.for_program(), seed=self.seed, time_limit=limit, n_jobs=1)
            if valid is None:
                held = program["predict"](model, self.features(self.test))
            else:
                values.append(program["predict"](model, self.features(opened.iloc[valid])))
                rows.append(valid)
            seconds.append(time.perf_counter() - started)
        order = np.argsort(np.concatenate(rows))
        part = OutOfFold(np.concatenate(rows)[order], np.concatenate(values)[order])
        return {"oof": part, "test": held, "seconds": float(np.mean(seconds)), "effective": model.get("effective")}

    def value(self, predictions: np.ndarray, labels: Any) -> float:
        return score(self.task.metric, labels, predictions, self.task.classes, self.task.positive)


def campaign(entry: dict[str, Any], root: Path, options: argparse.Namespace) -> None:
    """Plans, folds, ensemble and test score of one data set, printed line by line."""
    bench = Bench(entry, root, options.seed)
    task, opened_labels = bench.task, bench.labels[bench.dealt.open_rows]
    print(f"== {entry['name']}: {task.kind} {task.metric.name}, split {task.split.kind}, {len(bench.dealt.folds)} folds, "
          f"forecast {task.forecast} {task.time_column} {task.group_columns}, traits {bench.profile.traits}")  # fmt: skip
    done: dict[str, dict[str, Any]] = {}
    tried: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for iteration in range(options.iterations):
        question = PlanQuestion(task=task, profile=bench.profile, iteration=iteration, count=options.count,
                                seconds_left=60, jobs=2, tried=tried, findings=findings)  # fmt: skip
        for plan in bench.expert.ask(question).plans:
            result = done[plan.id] = bench.run(plan, options.limit)
            inner = bench.value(result["oof"].values, opened_labels[result["oof"].rows])
            outer = bench.value(result["test"], bench.test_labels)
            tried.append({"id": plan.id, "title": plan.title, "recipe": plan.recipe, "params": plan.params,
                          "status": "done", "score": inner, "fit_seconds": result["seconds"]})  # fmt: skip
            print(f"   {plan.id:26s} oof {inner:12.4f} test {outer:12.4f} {result['seconds']:6.2f} s/fit "
                  f"estimated {plan.estimate_seconds / task.split.folds:5.2f} {result['effective']}", flush=True)  # fmt: skip
        members = ensemble_members(task, opened_labels, {name: one["oof"] for name, one in done.items()}, seed=0)
        blend = sum(member.weight * done[member.candidate]["test"] for member in members)
        print(f"   {'ensemble':26s} {'':16s} test {bench.value(np.asarray(blend), bench.test_labels):12.4f} "
              f"{ {member.candidate: round(member.weight, 2) for member in members} }", flush=True)  # fmt: skip
        best = max(tried, key=lambda one: one["score"] if task.metric.direction == "higher" else -one["score"])
        plan = Plan(id=best["id"], title=best["title"], rationale="", recipe=best["recipe"], params=best["params"])
        candidate = Candidate(id=plan.id, iteration=iteration, plan=plan, status="done")
        findings += explore_predictions(task, candidate, done[best["id"]]["oof"], opened_labels,
                                        bench.features(bench.frame.iloc[bench.dealt.open_rows]), prefix=f"i{iteration}-f")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with datasets.json")
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=1)
    parser.add_argument("--limit", type=float, default=15.0, help="time_limit given to each fit")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    entries = json.loads((options.data / "datasets.json").read_text())
    for entry in entries:
        if not options.sets or entry["name"] in options.sets:
            campaign(entry, options.data, options)


if __name__ == "__main__":
    main()
