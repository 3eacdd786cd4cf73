"""Recipes for columns of DNA, RNA or protein: boosting, linear and kernel models on words, positions and composition."""

from __future__ import annotations

from typing import Any

from state.candidate import Plan
from state.profile import Profile
from state.task import Task
from tools.recipes.assemble import assemble
from tools.recipes.columns import columns_for
from tools.recipes.options import merged
from tools.recipes.recipe import LIGHTGBM, Recipe, Variant, lightgbm_objective

NUCLEOTIDES = "ACGT"
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_SHORT = 80
"""Up to this mean length positions and pairs are looked at."""


def _alphabets(task: Task, profile: Profile) -> dict[str, str]:
    """Sequence column → the letters it is written in."""
    letters = {}
    for feature in task.features:
        if feature.kind == "sequence":
            column = profile.column(feature.name)
            alphabet = column.stats.get("alphabet") if column else None
            letters[feature.name] = AMINO_ACIDS if alphabet == "protein" else NUCLEOTIDES
    return letters


def _lengths(task: Task, profile: Profile) -> dict[str, int]:
    """Short sequence columns and how many positions of them are looked at one by one."""
    lengths = {}
    for name in _alphabets(task, profile):
        column = profile.column(name)
        mean = float(column.stats.get("mean_length") or 0.0) if column else 0.0
        if 2 <= mean <= _SHORT:
            lengths[name] = round(mean)
    return lengths


def _params(task: Task, profile: Profile, family: str) -> dict[str, Any]:
    rows, alphabets, lengths = profile.rows, _alphabets(task, profile), _lengths(task, profile)
    nucleic = all(letters == NUCLEOTIDES for letters in alphabets.values())
    long = len(lengths) < len(alphabets)
    words = {"boosting": 4 if long else 3, "linear": 6 if long else 4, "kernel": 5 if long else 3}
    proteins = {"boosting": 2, "linear": 3, "kernel": 2}
    common = {
        "family": family,
        "longest": (words if nucleic else proteins)[family],
        "both_strands": nucleic and long and not _has_uracil(task, profile),
        "stretches": 10 if long else 4,
        "least": 2,
        "inner": 4 if rows < 3_000 else 5,
        "single": rows >= 3_000,
    }
    if family == "boosting":
        lgb = {
            "objective": lightgbm_objective(task),
            "learning_rate": 0.07,
            "num_leaves": 15,
            "min_data_in_leaf": max(3, min(20, rows // 50)),
            "feature_fraction": 0.3,
            "bagging_fraction": 0.8,
            "lambda_l2": 5.0,
            **LIGHTGBM,
        }
        return {**common, "members": 2 if rows < 5_000 else 1, "rounds": 800, "lgb": lgb}
    if family == "linear":
        settings = [{"strength": 10.0**power} for power in (3, 2, 4, 5, 1)]
        if task.is_classification:
            settings = [{"freedom": value} for value in (0.01, 0.03, 0.1, 0.003, 0.3)]
        return {**common, "settings": settings}
    pairs = [(1.0, 1.0), (0.5, 1.0), (1.0, 3.0), (2.0, 2.0)]
    if task.is_classification:
        pairs = [(0.3, 3.0), (0.1, 10.0), (1.0, 1.0)]
    settings = [{"gamma": gamma, "freedom": freedom} for gamma, freedom in pairs]
    return {**common, "settings": settings, "landmarks": min(500, max(20, rows // 2))}


def _has_uracil(task: Task, profile: Profile) -> bool:
    """RNA has one strand."""
    columns = [profile.column(name) for name in _alphabets(task, profile)]
    return any(column.stats.get("alphabet") == "rna" for column in columns if column)


_WORDS = {
    "boosting": (
        "Boosted trees on sequence words and positions",
        "Short words, the letter at each position and the composition along the sequence are what binding and regulation "
        "depend on; boosted trees combine them.",
        "LightGBM, few columns per tree",
    ),
    "linear": (
        "Linear model on sequence words",
        "Many short words each weigh a little; a penalised linear model adds them up and is hard to mislead.",
        "penalised linear model on k-mer counts",
    ),
    "kernel": (
        "Kernel model on sequence similarity",
        "Rows with like words behave alike: a Gaussian kernel on word counts and positions finds what single words miss.",
        "Gaussian kernel on normalised word counts",
    ),
}


def _variants_of(family: str) -> Any:
    title, why, architecture = _WORDS[family]

    def variants(task: Task, profile: Profile) -> list[Variant]:
        params = _params(task, profile, family)
        strands = ", both strands as one" if params["both_strands"] else ""
        return [
            Variant(
                key=f"sequence-{family}" if family != "boosting" else "sequence",
                title=title,
                why=why,
                params=params,
                representation=f"words of up to {params['longest']} letters{strands}; composition in {params['stretches']} "
                "stretches; letters and stacking energies by position, and pairing, where sequences are short",
                architecture=architecture,
                training="rounds or penalty chosen on inner folds",
            )
        ]

    return variants


def _writer_of(family: str) -> Any:
    def write(plan: Plan, task: Task, profile: Profile) -> str:
        p = merged(_params(task, profile, family), plan.params, plan.recipe)
        p["family"] = family
        sequences = _alphabets(task, profile)
        return assemble(
            "sequence",
            title=plan.title,
            why=plan.rationale,
            columns=columns_for(task, profile, many="codes"),
            kind=task.kind,
            p=p,
            sequences=sequences,
            nucleotides=[name for name, letters in sequences.items() if letters == NUCLEOTIDES],
            lengths=_lengths(task, profile),
        )

    return write


def _fits(bonus: float) -> Any:
    def fits(task: Task, profile: Profile) -> float:
        return bonus if _alphabets(task, profile) else 0.0

    return fits


def _seconds(per_letter: float, per_pair: float) -> Any:
    """Cost model: seconds of one fit by the letters in the table and, for kernels, the pairs of rows."""

    def seconds(task: Task, profile: Profile) -> float:
        columns = [profile.column(name) for name in _alphabets(task, profile)]
        letters = sum(float(column.stats.get("mean_length") or 50.0) for column in columns if column)
        pairs = 0.0 if task.is_classification else float(profile.rows) ** 2
        return 0.5 + per_letter * min(letters, 100.0) * profile.rows + per_pair * pairs

    return seconds


RECIPES = [
    Recipe(
        "sequence",
        "boosting",
        _fits(1.0),
        _variants_of("boosting"),
        _writer_of("boosting"),
        _seconds(8e-6, 0.0),
        refit=0.8,
        specialist=True,
    ),
    Recipe("sequence-linear", "linear", _fits(0.95), _variants_of("linear"), _writer_of("linear"), _seconds(3e-6, 0.0)),
    Recipe(
        "sequence-kernel",
        "kernel",
        _fits(0.9),
        _variants_of("kernel"),
        _writer_of("kernel"),
        _seconds(4e-6, 3e-7),
        refit=0.6,
    ),
]
