"""Small tables of every kind the recipes know, framed as a build frames them, and the programs written for them."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Plan
from state.profile import Profile
from state.settings import Settings
from state.task import Task
from tools.framing import frame_task
from tools.intake.table import table_from_frame
from tools.labels import canonical_labels
from tools.profiling.profile import profile_table
from tools.recipes.catalogue import applicable, find_recipe, write_program
from tools.targetkinds import implied_kind

SMALL = {"rounds": 25, "trees": 20, "members": 1, "components": 4, "landmarks": 30, "picks": 3, "inner": 2}
SMALL |= {"directions": 6, "leads": 2}
"""Sizes that keep a test short; a plan takes those its recipe knows."""


@dataclass(frozen=True)
class Case:
    """A framed table: features, labels, task and profile."""

    name: str
    X: pd.DataFrame
    y: pd.Series
    task: Task
    profile: Profile

    def plan(self, recipe: str, **params: Any) -> Plan:
        """The recipe's first draft at a size fit for tests."""
        variant = find_recipe(recipe).variants(self.task, self.profile)[0]
        small = {name: value for name, value in SMALL.items() if name in variant.params}
        if "settings" in variant.params:
            small["settings"] = variant.params["settings"][:2]
        params = {**variant.params, **small, **params}
        return Plan(id=variant.key, title=variant.title, rationale=variant.why, recipe=recipe, params=params)

    def program(self, recipe: str, **params: Any) -> dict[str, Any]:
        """The namespace of the executed program."""
        code = write_program(self.plan(recipe, **params), self.task, self.profile)
        namespace: dict[str, Any] = {"__name__": "program"}
        exec(compile(code, f"{self.name} {recipe}", "exec"), namespace)
        return namespace

    def fit(self, program: Mapping[str, Any], rows: np.ndarray | slice = slice(None), **more: Any) -> Any:
        """A model fitted on some rows, as the harness calls it."""
        X, y = self.X.iloc[rows].reset_index(drop=True), self.y.iloc[rows].reset_index(drop=True)
        options: dict[str, Any] = {"task": self.task.for_program(), "seed": 1, "time_limit": 30.0, "n_jobs": 1, **more}
        return program["fit"](X, y, **options)


def framed(name: str, frame: pd.DataFrame, target: str, **settings: Any) -> Case:
    """Intake, profile and framing of a table."""
    table = table_from_frame(frame)
    wanted = Settings(target=target, **settings)
    profile = profile_table(
        table.frame,
        target,
        intent=wanted.intent,
        kind=implied_kind(wanted, table.frame[target]) if name in ONLY else None,
        time_column=wanted.time_column,
        group_columns=wanted.group_columns,
    )
    task = frame_task(wanted, table.frame, profile, target)
    labels, known = canonical_labels(table.frame[target], task.kind)
    X = table.frame.loc[known, [feature.name for feature in task.features]].reset_index(drop=True)
    return Case(name, X, pd.Series(labels), task, profile)


def _mixed(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    words = ["quick", "slow", "red", "blue", "fine", "poor", "old", "new", "large", "tiny", "calm", "loud"]
    frame = pd.DataFrame(
        {
            "size": rng.normal(50, 12, rows).round(3),
            "weight": rng.lognormal(1, 1, rows).round(3),
            "count": rng.integers(0, 9, rows).astype(float),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "town": rng.choice([f"town {number:02d}" for number in range(45)], rows),
            "bought": pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
            "sold": pd.Timestamp("2023-03-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
            "note": [f"{' '.join(rng.choice(words, 6))} no {number}" for number in range(rows)],
        }
    )
    for column in ("size", "colour", "note", "bought"):
        frame.loc[rng.choice(rows, rows // 12, replace=False), column] = np.nan
    return frame


def _signal(frame: pd.DataFrame, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    fine = frame["note"].astype(str).str.contains("fine").to_numpy()
    signal = frame["size"].fillna(50).to_numpy() / 12 + 1.5 * (frame["colour"] == "red").to_numpy() + fine
    return np.asarray(signal + rng.normal(0, 0.4, len(frame)))


@functools.cache
def mixed_binary() -> Case:
    frame = _mixed(260, 1)
    frame["bad"] = np.where(_signal(frame, 2) > 5.2, "yes", "no")
    return framed("binary", frame, "bad")


@functools.cache
def mixed_classes() -> Case:
    frame = _mixed(260, 3)
    frame["grade"] = pd.cut(pd.Series(_signal(frame, 4)), [-np.inf, 2.6, 4.3, 5.5, np.inf], labels=[1, 2, 3, 4]).astype(
        int
    )
    return framed("classes", frame, "grade", kind="multiclass")


@functools.cache
def mixed_values() -> Case:
    frame = _mixed(260, 5)
    frame["price"] = np.exp(_signal(frame, 6) / 2).round(3)
    return framed("values", frame, "price", metric="mae")


@functools.cache
def wide_values() -> Case:
    rng = np.random.default_rng(7)
    table = rng.normal(size=(90, 120)).round(4)
    frame = pd.DataFrame(table, columns=[f"x{number:03d}" for number in range(120)])
    frame["y"] = (table[:, :5].sum(axis=1) + rng.normal(0, 0.2, 90)).round(4)
    return framed("wide", frame, "y", metric="rmse")


@functools.cache
def dna_values() -> Case:
    rng = np.random.default_rng(9)
    guides = ["".join(rng.choice(list("ACGU"), 21)) for _ in range(140)]
    sites = ["".join(rng.choice(list("ACGT"), 41)) for _ in guides]
    score = [guide.count("G") / 5 + guide.startswith("A") for guide in guides]
    dose = rng.uniform(0, 3, 140).round(3)
    return framed("dna", pd.DataFrame({"guide": guides, "site": sites, "dose": dose, "effect": dose + score}), "effect")


@functools.cache
def protein_classes() -> Case:
    rng = np.random.default_rng(11)
    letters, lengths = list("ACDEFGHIKLMNPQRSTVWY"), rng.integers(90, 140, 120)
    chains = ["".join(rng.choice(letters, length)) for length in lengths]
    greasy = [sum(map(chain.count, "AILMFVW")) / len(chain) for chain in chains]
    frame = pd.DataFrame(
        {"chain": chains, "place": np.where(np.array(greasy) > np.median(greasy), "membrane", "soluble")}
    )
    return framed("protein", frame, "place")


@functools.cache
def one_series() -> Case:
    rng = np.random.default_rng(13)
    months = pd.date_range("2010-01-01", periods=96, freq="MS")
    values = 100 + 0.8 * np.arange(96) + 15 * np.sin(2 * np.pi * np.arange(96) / 12) + rng.normal(0, 2, 96)
    frame = pd.DataFrame({"month": months, "sales": values.round(2)})
    return framed(
        "series", frame, "sales", intent="Forecast the sales of the coming year", time_column="month", metric="mae"
    )


@functools.cache
def many_series() -> Case:
    rng = np.random.default_rng(15)
    parts = []
    for shop, level in (("north", 50.0), ("south", 200.0), ("west", 10.0)):
        days = pd.date_range("2022-01-03", periods=150, freq="D")
        promo = rng.integers(0, 2, 150).astype(float)
        values = level * (1 + 0.2 * np.sin(2 * np.pi * np.arange(150) / 7) + 0.3 * promo) + rng.normal(
            0, level / 20, 150
        )
        parts.append(pd.DataFrame({"day": days, "shop": shop, "promo": promo, "sold": values.round(2)}))
    frame = pd.concat(parts, ignore_index=True).drop(index=[3, 40, 41, 300])
    settings: dict[str, Any] = {"time_column": "day", "group_columns": ["shop"], "metric": "mae", "horizon": 14}
    return framed(
        "panel", frame, "sold", intent="Forecast what each shop will sell in the coming two weeks", **settings
    )


def _marks(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    table = (rng.random((rows, 40)) < 0.3).astype(float)
    frame = pd.DataFrame(table, columns=[f"bit{number:02d}" for number in range(40)])
    return frame, table[:, :6].sum(axis=1) + rng.normal(0, 0.2, rows)


@functools.cache
def marks_values() -> Case:
    frame, signal = _marks(110, 17)
    return framed("marks", frame.assign(effect=signal.round(3)), "effect")


@functools.cache
def marks_classes() -> Case:
    frame, signal = _marks(110, 19)
    # One column is no mark, so the marks have to be named.
    frame = frame.assign(mass=np.linspace(3, 9, 110).round(2), active=np.where(signal > np.median(signal), "yes", "no"))
    return framed("active", frame, "active")


def _pictures(marks: np.ndarray, seed: int, channels: int) -> list[str]:
    """Pictures of 16 × 16 pixels with a bar whose place and brightness follow the marks (0 … 3), on noise."""
    rng = np.random.default_rng(seed)
    cells = []
    for mark in marks:
        pixels = rng.integers(0, 60, (16, 16, channels))
        bar = slice(4 * int(mark), 4 * int(mark) + 3)
        pixels[bar if mark % 2 < 1 else slice(None), bar if mark % 2 >= 1 else slice(None)] += int(100 + 30 * mark)
        code = base64.b64encode(pixels.astype(np.uint8).tobytes()).decode()
        cells.append(f"image:16x16x{channels}:{code}")
    return cells


@functools.cache
def picture_classes() -> Case:
    marks = np.random.default_rng(21).integers(0, 3, 110)
    size = np.random.default_rng(22).normal(size=110).round(3)
    frame = pd.DataFrame({"photo": _pictures(marks, 23, 1), "size": size, "kind": [f"kind {mark}" for mark in marks]})
    return framed("pictures", frame, "kind")


@functools.cache
def picture_values() -> Case:
    marks = np.random.default_rng(24).uniform(0, 3.9, 90)
    frame = pd.DataFrame({"photo": _pictures(marks, 25, 3), "light": (marks * 10).round(2)})
    return framed("shades", frame, "light")


def _drivers(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(18, 80, rows).round(1),
            "power": rng.integers(40, 200, rows).astype(float),
            "area": rng.choice(["city", "country", "coast"], rows),
            "years": rng.uniform(0.1, 3.0, rows).round(3),
        }
    )
    frame.loc[rng.choice(rows, rows // 15, replace=False), "power"] = np.nan
    return frame


@functools.cache
def claim_counts() -> Case:
    frame = _drivers(240, 21)
    rng = np.random.default_rng(22)
    rate = np.exp(0.2 + 0.025 * (frame["age"] - 45) + 1.0 * (frame["area"] == "city"))
    frame["claims"] = rng.poisson(rate * frame["years"]).astype(float)
    intent = "How many claims a driver will have; claims per year, with years as exposure"
    return framed("counts", frame, "claims", intent=intent, metric="poisson_deviance", kind="regression")


@functools.cache
def graded_classes() -> Case:
    frame = _drivers(240, 23)
    rng = np.random.default_rng(24)
    risk = 0.06 * (frame["age"] - 45) + 1.5 * (frame["area"] == "city") + rng.normal(0, 0.5, len(frame))
    names = np.array(["low", "medium", "high", "very high"])
    frame["risk"] = names[np.digitize(risk, [-1.0, 0.5, 2.0])]
    return framed("grades", frame, "risk", metric="quadratic_weighted_kappa")


CASES = {
    "counts": claim_counts,
    "grades": graded_classes,
    "binary": mixed_binary,
    "classes": mixed_classes,
    "values": mixed_values,
    "wide": wide_values,
    "marks": marks_values,
    "active": marks_classes,
    "dna": dna_values,
    "protein": protein_classes,
    "pictures": picture_classes,
    "shades": picture_values,
    "series": one_series,
    "panel": many_series,
}


ONLY = {"counts": {"rates", "boosting", "histogram"}, "grades": {"ranks", "cumulative"}}
"""Cases made for some recipes; the others meet tables like theirs in other cases."""


def pairs() -> list[tuple[str, str]]:
    """Every case with every recipe that applies to it, or with those it was made for."""
    return [
        (name, recipe.name)
        for name, make in CASES.items()
        for recipe, _ in applicable(make().task, make().profile)
        if recipe.name in ONLY.get(name, {recipe.name})
    ]


def odd_rows(case: Case) -> pd.DataFrame:
    """Rows of the table with everything missing, unseen categories and texts, infinities, and far dates."""
    odd = case.X.iloc[:6].copy().reset_index(drop=True)
    kinds = {feature.name: feature.kind for feature in case.task.features}
    for name, kind in kinds.items():
        keep = name == case.task.time_column
        if kind == "numeric":
            odd.loc[0, name], odd.loc[1, name] = np.nan, np.inf
        elif kind == "datetime" and not keep:
            odd.loc[0, name], odd.loc[1, name] = pd.NaT, pd.Timestamp("2090-01-01")
        elif not keep:
            odd.loc[0, name], odd.loc[1, name] = np.nan, "never seen ✓"
    return odd
