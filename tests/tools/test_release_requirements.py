"""requirements.txt of a release."""

from __future__ import annotations

from importlib import metadata

import pytest

from state.errors import NotFound
from tools.release.requirements import imported, needed, requirements
from tools.release.sources import portable


def pins(text: str) -> dict[str, str]:
    lines = [line.partition(";")[0].strip() for line in text.splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def test_exactly_what_is_imported_is_listed_first() -> None:
    """Programs count with all their imports, the runtime with those made at import, models by how they are saved."""
    code = "import lightgbm as lgb\nimport json\n\ndef fit():\n    from sklearn.impute import SimpleImputer\n"
    runtime = [portable("saving.py"), portable("reading.py")]
    assert needed([code], runtime, ["a.npy", "model.json"], "csv") == ["lightgbm", "numpy", "pandas", "sklearn"]
    assert needed([code], runtime, ["a.skops"], "csv") == ["lightgbm", "numpy", "pandas", "sklearn", "skops"]
    assert needed(["import math"], runtime, ["part.arrow"], "excel") == [
        "numpy",
        "pandas",
        "pyarrow",
        "python_calamine",
    ]
    assert imported("from . import x\nimport os.path\nimport scipy.stats") == {"scipy"}


def test_versions_are_those_installed_and_nothing_of_ours_is_there() -> None:
    """Each line is a pin on the installed version; no address, no local version, none of our own libraries."""
    text = requirements(["numpy", "pandas", "sklearn"])
    listed = pins(text)
    assert listed["scikit-learn"] == metadata.version("scikit-learn")
    assert {"numpy", "pandas", "scipy", "joblib"} <= set(listed)
    assert not {"langgraph", "pydantic", "modelwright", "typer"} & set(listed)
    assert "/" not in text
    assert "+" not in text
    first, _, rest = text.partition("# Needed by those:")
    assert set(pins(first)) == {"numpy", "pandas", "scikit-learn"}
    assert not set(pins(first)) & set(pins(rest))


def test_a_library_that_is_not_installed_is_named() -> None:
    """A program that imports what is not there cannot be released, and the message says which library."""
    with pytest.raises(NotFound, match="no_such_library"):
        requirements(["numpy", "no_such_library"])
