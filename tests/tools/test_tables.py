"""Tables on disk: what goes in comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tools.portable.tables import read_arrow, write_arrow


def canonical() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": [1.5, np.nan, -0.0, 1e300],
            "when": np.array(
                ["2020-01-01", "NaT", "1970-01-01T00:00:00.000000001", "2200-12-31"], dtype="datetime64[ns]"
            ),
            "text": pd.Series(["a", np.nan, "", "naïve \u2603 'quote' \n line"], dtype=object),
        }
    )


def test_canonical_columns_come_back_with_types_and_missing_values(tmp_path: Path) -> None:
    """Numbers, datetimes and text survive the disk, missing values as NaN and NaT."""
    frame = canonical()
    write_arrow(frame, tmp_path / "t.arrow")
    back = read_arrow(tmp_path / "t.arrow")
    pd.testing.assert_frame_equal(back, frame)
    assert [back[name].dtype.name for name in back] == ["float64", "datetime64[ns]", "object"]
    assert isinstance(back["text"].iloc[1], float)
    assert isinstance(back["text"].iloc[0], str)


def test_chosen_columns_come_in_the_asked_order(tmp_path: Path) -> None:
    """Reading some columns reads those, in their order."""
    write_arrow(canonical(), tmp_path / "t.arrow")
    assert list(read_arrow(tmp_path / "t.arrow", ["text", "number"]).columns) == ["text", "number"]


def test_small_integers_and_labels_keep_their_types(tmp_path: Path) -> None:
    """Fold marks, row numbers and labels of any kind come back as they were."""
    frame = pd.DataFrame(
        {
            "fold_0": np.array([0, 1, 2], dtype=np.int8),
            "row": np.array([5, 3, 4], dtype=np.int64),
            "flag": [True, False, True],
            "label": pd.Series(["yes", "no", "yes"], dtype=object),
        }
    )
    write_arrow(frame, tmp_path / "t.arrow")
    pd.testing.assert_frame_equal(read_arrow(tmp_path / "t.arrow"), frame)


def test_what_is_read_may_be_changed(tmp_path: Path) -> None:
    """A frame from disk is a program's own: writing into it works and leaves the file alone."""
    write_arrow(canonical(), tmp_path / "t.arrow")
    frame = read_arrow(tmp_path / "t.arrow")
    frame.loc[0, "number"] = 9.0
    assert read_arrow(tmp_path / "t.arrow").loc[0, "number"] == 1.5


def test_category_and_string_dtypes_become_plain_text(tmp_path: Path) -> None:
    """Other ways pandas holds text end as object columns of str."""
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", None]), "s": pd.array(["p", None, "q"], dtype="string")})
    write_arrow(frame, tmp_path / "t.arrow")
    back = read_arrow(tmp_path / "t.arrow")
    assert back["c"].tolist()[:2] == ["x", "y"]
    assert [back[name].dtype.name for name in back] == ["object", "object"]
    assert back.isna().sum().tolist() == [1, 1]


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    """No rows is a table, too."""
    write_arrow(canonical().head(0), tmp_path / "t.arrow")
    back = read_arrow(tmp_path / "t.arrow")
    assert list(back.columns) == ["number", "when", "text"]
    assert len(back) == 0


def test_bad_frames_and_files_are_named(tmp_path: Path) -> None:
    """Duplicate names, cells that are no text, damaged files and absent columns are refused by name."""
    path = tmp_path / "t.arrow"
    with pytest.raises(ValueError, match="'a'"):
        write_arrow(pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), path)
    with pytest.raises(TypeError, match="'cells'"):
        write_arrow(pd.DataFrame({"cells": [{"a": 1}, 3]}), path)
    write_arrow(canonical(), path)
    with pytest.raises(ValueError, match="nothing_here"):
        read_arrow(path, ["nothing_here"])
    path.write_bytes(b"not arrow at all")
    with pytest.raises(ValueError, match="damaged"):
        read_arrow(path)
    with pytest.raises(OSError, match="absent"):
        read_arrow(tmp_path / "absent.arrow")
