"""The profile: kinds of columns, suspicious ones, the target, entities and time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from state.profile import Profile
from tools.profiling.profile import profile_table

ROWS = 400


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def text(values: object) -> pd.Series:
    return pd.Series(list(values), dtype=object)  # type: ignore[call-overload]


def sequences(alphabet: str, rows: int, length: int) -> pd.Series:
    return text("".join(row) for row in rng().choice(list(alphabet), (rows, length)))


def mixed() -> pd.DataFrame:
    random = rng()
    return pd.DataFrame(
        {
            "RecordId": np.arange(1.0, ROWS + 1),
            "code": text(f"C-{i * 7919 % 100_000:05d}" for i in range(ROWS)),
            "length": random.normal(40, 5, ROWS),
            "rooms": random.integers(1, 6, ROWS).astype(float),
            "colour": text(random.choice(["red", "green", "blue"], ROWS)),
            "person": text(f"{'ABCDEFGH'[i % 8]}nne {'KLMNOP'[i % 6]}ey {i * 31 % 977} Smith" for i in range(ROWS)),
            "remark": text(f"the {i} flat is near a {'park' if i % 2 else 'road'} and quiet" for i in range(ROWS)),
            "built": pd.Series(pd.date_range("1990-03-01", periods=ROWS, freq="D"))
            .sample(frac=1, random_state=0)
            .values,
            "country": text(["here"] * ROWS),
            "empty": np.nan,
            "length again": 0.0,
            "y": random.normal(size=ROWS),
        }
    ).assign(**{"length again": lambda frame: frame["length"]})


def kinds(profile: Profile) -> dict[str, str]:
    return {column.name: column.kind for column in profile.columns}


def suspicions(profile: Profile) -> dict[str, str]:
    return {column.name: column.suspicion for column in profile.columns if column.suspicion}


def test_each_column_gets_its_kind() -> None:
    """Numbers, short repeated texts, free texts, names of people and dates are told apart."""
    found = kinds(profile_table(mixed(), "y"))
    assert found["length"] == found["rooms"] == "numeric"
    assert found["colour"] == "category"
    assert found["person"] == found["remark"] == "text"
    assert found["built"] == "datetime"


@pytest.mark.parametrize(
    ("alphabet", "name"),
    [
        ("ACGT", "dna"),
        ("ACGU", "rna"),
        ("acgt", "dna"),
        ("ACGT" * 6 + "NX", "dna"),
        ("ACDEFGHIKLMNPQRSTVWY", "protein"),
    ],
)
def test_sequences_are_recognised(alphabet: str, name: str) -> None:
    """Strings over the letters of DNA, RNA or proteins are sequences, also in small letters or with unknown bases."""
    frame = pd.DataFrame({"s": sequences(alphabet, 60, 20), "y": rng().normal(size=60)})
    column = profile_table(frame, "y").columns[0]
    assert (column.kind, column.stats["alphabet"]) == ("sequence", name)


def test_words_in_capitals_are_no_protein() -> None:
    """Long words in capital letters use protein letters too, yet stay text or category."""
    words = ["MAGENTA", "CRIMSON", "TURQUOISE", "ULTRAMARINE", "CHARTREUSE", "VERMILION", "AQUAMARINE", "PERIWINKLE"]
    frame = pd.DataFrame({"w": text(np.resize(words, 80)), "y": rng().normal(size=80)})
    assert profile_table(frame, "y").columns[0].kind == "category"


def test_useless_columns_are_found_with_their_evidence() -> None:
    """Identifiers by number and by code, constants, empty columns and copies of other columns."""
    profile = profile_table(mixed(), "y")
    assert suspicions(profile) == {
        "RecordId": "identifier",
        "code": "identifier",
        "country": "constant",
        "empty": "all missing",
        "length again": "duplicate column",
    }
    again = profile.column("length again")
    assert again is not None
    assert "'length'" in again.evidence


def test_measurements_dates_and_prose_are_no_identifiers() -> None:
    """Values that all differ may still say something: fractions, years, names, sentences, ranks."""
    frame = pd.DataFrame(
        {
            "weight": rng().gamma(2, size=60).round(6),
            "year": np.arange(1950.0, 2010),
            "rank": rng().permutation(60) + 1.0,
            "note": text(f"note number {i} about it" for i in range(60)),
            "amount": rng().choice(np.arange(1000.0, 90_000), 60, replace=False),
            "y": rng().normal(size=60),
        }
    )
    assert suspicions(profile_table(frame, "y")) == {}


def test_columns_that_give_the_target_away_are_named() -> None:
    """A copy, a renaming of the classes, a line through the target, and a column that alone nearly knows it."""
    y = text(rng().choice(["yes", "no"], ROWS))
    frame = pd.DataFrame(
        {
            "copy": y,
            "renamed": y.map({"yes": 7.0, "no": 9.0}),
            "score": y.map({"yes": 5.0, "no": 0.0}) + rng().random(ROWS),
            "honest": y.map({"yes": 1.0, "no": 0.0}) + rng().normal(size=ROWS),
            "y": y,
        }
    )
    assert suspicions(profile_table(frame, "y")) == {
        "copy": "copy of the target",
        "renamed": "encodes the target",
        "score": "nearly predicts the target alone",
    }
    price = rng().gamma(2, 100, ROWS)
    noise = rng().normal(size=ROWS)
    table = pd.DataFrame({"cents": price * 100 + 3, "log": np.log(price), "guess": price + 60 * noise, "price": price})
    assert suspicions(profile_table(table, "price")) == {
        "cents": "encodes the target",
        "log": "nearly predicts the target alone",
    }


def test_a_rare_class_told_apart_by_accident_is_no_leak() -> None:
    """With a handful of positives some column always separates them; that is no finding."""
    frame = pd.DataFrame(rng().normal(size=(60, 300)), columns=[f"c{i}" for i in range(300)])
    frame["y"] = [1.0] * 3 + [0.0] * 57
    assert "nearly predicts the target alone" not in suspicions(profile_table(frame, "y")).values()


@pytest.mark.parametrize(
    ("values", "name", "intent", "expected"),
    [
        (["a", "b"], "y", "", "binary"),
        (["a", "b", "c"], "y", "", "multiclass"),
        ([1.0, 2.0], "default", "", "binary"),
        ([0.1, 2.5, 3.7], "y", "", "regression"),
        (list(range(100, 500)), "y", "", "regression"),
        ([3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "quality", "Tell which class a wine belongs to", "multiclass"),
        ([3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "quality", "Estimate how much tasters like a wine", "regression"),
        (list(range(10)), "digit", "", "multiclass"),
        ([0.0, 1.0, 2.0, 3.0, 4.0], "number of claims", "", "regression"),
    ],
)
def test_the_target_is_classes_or_a_quantity(values: list[object], name: str, intent: str, expected: str) -> None:
    """Storage, shape, name and intent decide together, and say why."""
    frame = pd.DataFrame({"x": rng().normal(size=ROWS), name: text(np.resize(values, ROWS)).infer_objects()})
    target = profile_table(frame, name, intent).target
    assert target.looks_like == expected
    assert target.evidence


def test_unevenly_used_small_counts_are_a_quantity() -> None:
    """Counts that thin out are no codes of classes."""
    counts = np.minimum(rng().poisson(1.2, ROWS), 7).astype(float)
    frame = pd.DataFrame({"x": rng().normal(size=ROWS), "y": counts})
    assert profile_table(frame, "y").target.looks_like == "regression"


def test_the_persons_word_on_the_kind_counts() -> None:
    """A given task type overrules what the values look like."""
    frame = pd.DataFrame({"x": rng().normal(size=ROWS), "y": rng().integers(0, 2, ROWS).astype(float)})
    assert profile_table(frame, "y", kind="regression").target.looks_like == "regression"


def test_repeated_entities_are_found() -> None:
    """Schools with many pupils each, whose own columns never vary within them; a kind of thing is no entity."""
    school = np.repeat(np.arange(1000, 1040), 10)
    frame = pd.DataFrame(
        {
            "school": school.astype(float),
            "school_mean": np.repeat(rng().normal(size=40), 10),
            "room_type": text(rng().choice(list("abcdefghijkl"), ROWS)),
            "ses": rng().normal(size=ROWS),
            "y": rng().normal(size=ROWS),
        }
    )
    profile = profile_table(frame, "y", "it will be used on schools we have not seen")
    assert profile.group_candidates == ["school"]
    assert "groups" in profile.traits
    assert any("school_mean" in note for note in profile.notes)


def test_time_columns_are_ordered_by_how_well_they_order_the_rows() -> None:
    """A rising date comes before an unordered one, and a year in numbers after both."""
    days = pd.date_range("2020-01-01", periods=ROWS, freq="D")
    frame = pd.DataFrame(
        {
            "year": np.repeat(np.arange(1920.0, 2020), 4),
            "birthday": rng().permutation(days.values),
            "day": days,
            "y": rng().normal(size=ROWS),
        }
    )
    assert profile_table(frame, "y").time_candidates == ["day", "birthday", "year"]


def test_traits_say_what_plans_are_chosen_by() -> None:
    """Two tables of different nature have different tags."""
    table = mixed().assign(y=text(["rare"] * 40 + ["usual"] * 360))
    assert {"small", "text", "dates", "categories", "imbalanced"} <= set(profile_table(table, "y").traits)
    numeric = pd.DataFrame(rng().normal(size=(60, 150))).rename(columns=str).assign(y=np.exp(3 * rng().normal(size=60)))
    assert {"wide", "numeric-only", "skewed-target"} <= set(profile_table(numeric, "y").traits)


def test_numbers_a_person_wants() -> None:
    """Missing and distinct counts, quartiles, a histogram that holds every value, duplicates, correlated pairs."""
    x = np.concatenate([rng().normal(10, 2, 380), [np.nan] * 20])
    frame = pd.DataFrame({"x": x, "twice": 2 * x + 0.01 * rng().random(400), "y": rng().gamma(2, size=400)})
    frame = pd.concat([frame, frame.iloc[:7]], ignore_index=True)
    profile = profile_table(frame, "y")
    column = profile.columns[0]
    assert (column.missing, profile.duplicate_rows) == (20, 7)
    assert column.stats["median"] == pytest.approx(10, abs=0.5)
    assert sum(count for _, count in column.histogram) == 387
    assert profile.correlated[0][:2] == ("x", "twice")


def test_a_profile_survives_storage() -> None:
    """As plain data and back it is the same record."""
    profile = profile_table(mixed(), "y")
    assert Profile.model_validate(profile.plain()) == profile


def test_infinite_and_gigantic_values_are_survived() -> None:
    """They are profiled like others, and nothing overflows."""
    x = rng().normal(size=ROWS)
    frame = pd.DataFrame({"far": np.where(x > 2, np.inf, x), "huge": x * 1e300, "y": rng().gamma(2, size=ROWS)})
    profile = profile_table(frame, "y")
    huge = profile.column("huge")
    assert huge is not None
    assert huge.stats["std"] == pytest.approx(1e300, rel=0.2)
    assert huge.histogram


def test_a_large_table_says_what_was_looked_at() -> None:
    """Leak statistics of more than 20,000 rows use a part of them, which a note says."""
    frame = pd.DataFrame({"x": rng().normal(size=30_000), "y": rng().normal(size=30_000)})
    assert any("20,000 of 30,000 rows" in note for note in profile_table(frame, "y").notes)


def test_a_missing_target_column_is_refused() -> None:
    """The message names the column."""
    with pytest.raises(InputError, match="'z'"):
        profile_table(mixed(), "z")
