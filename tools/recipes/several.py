"""Several targets at once: every recipe writes for one of them, and its program is fitted once per target."""

from __future__ import annotations

from state.profile import Profile
from state.questions import PlanQuestion
from state.task import Task
from tools.metrics import METRICS
from tools.recipes.assemble import enclose

_LABEL_METRIC = "log_loss"
_CUT_METRICS = frozenset({"micro_f1", "label_f1"})
"""Metrics for which one half is seldom the best chance from which to say yes."""
_VALUE_METRICS = {"scaled_mae": "mae", "uniform_mae": "mae"}


def single_metric(task: Task) -> str:
    """The metric of one target that serves the task's metric."""
    return _LABEL_METRIC if task.kind == "multilabel" else _VALUE_METRICS.get(task.metric.name, "rmse")


def one_target(task: Task) -> Task:
    """The task a recipe is asked to write for: one of the targets. A task of one target is returned as it is."""
    if not task.targets:
        return task
    shared = {"targets": [], "target_texts": [], "tag_separator": "", "metric": METRICS[single_metric(task)].plain()}
    if task.kind == "multilabel":
        return task.but(kind="binary", classes=[0, 1], positive=1, **shared)
    return task.but(kind="regression", **shared)


def one_profile(task: Task, profile: Profile) -> Profile:
    """The profile without what holds for the targets' mean only."""
    return profile if not task.targets else profile.but(target=profile.target.but(stats={}).plain())


def one_question(question: PlanQuestion) -> PlanQuestion:
    """The question a planner of single targets can answer: time is shared among the targets."""
    task = question.task
    if not task.targets:
        return question
    left = question.seconds_left / len(task.targets)
    own = {"task": one_target(task), "profile": one_profile(task, question.profile), "seconds_left": left}
    return question.model_copy(update=own)


def for_all(code: str, task: Task) -> str:
    """The program of one target as the program of all; unchanged for a task of one target."""
    if not task.targets:
        return code
    renamed = {"fit": "fit_one", "predict": "predict_one"}
    return enclose(
        code,
        "several",
        renamed=renamed,
        labels=task.kind == "multilabel",
        metric=single_metric(task),
        tuned=task.metric.name in _CUT_METRICS,
        together=task.metric.name == "micro_f1",
    )
