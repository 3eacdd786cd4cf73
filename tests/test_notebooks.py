"""The notebooks run from top to bottom, show what they say, and are kept without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra dev)")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra dev)")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra dev)")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def executed(path: Path, folder: Path) -> Any:
    """The notebook after running it in a folder of its own."""
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=1800, startup_timeout=600, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def outputs(notebook: Any, source: str) -> dict[str, str]:
    """What the cell that begins so shows: MIME type → text; printed text is under `stdout` and `stderr`."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith(source))
    shown: dict[str, str] = {}
    for output in cell.outputs:
        if output.output_type == "stream":
            shown[output.name] = shown.get(output.name, "") + output.text
        else:
            shown.update(output.data)
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    """What a person sees was made on their machine; the file holds words and code only, and is valid."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_the_first_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newcomer's notebook: build, card, leaderboard, predictions, report, return, graph; nothing is fetched."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = executed(ROOT / "notebooks" / "01_first_model.ipynb", tmp_path)
    assert "publisher" in outputs(notebook, "run = modelwright.build(")["stderr"]
    card = outputs(notebook, "run")  # the first cell that begins so is the build, which ends with an assignment
    assert "text/html" not in card
    card = next(cell for cell in notebook.cells if cell.source == "run").outputs[0].data["text/html"]
    assert "first-model" in card
    assert "<svg" in card
    assert "roc_auc" in outputs(notebook, "print(f")["stdout"]
    assert "<table" in outputs(notebook, "run.candidates")["text/html"]
    predicted = outputs(notebook, "new =")["text/html"]
    assert predicted.count("<tr") == 6
    assert "proba_1" in predicted
    listed = outputs(notebook, "print(run.report)")["stdout"]
    assert Path(listed.splitlines()[0]).is_file()
    assert "model_inference" in listed
    assert outputs(notebook, "same =")["text/plain"] == "'done'"
    assert "reviewer - accept" in outputs(notebook, "for event")["stdout"]
    drawing = outputs(notebook, "modelwright.graph")
    assert drawing["text/html"].startswith("<svg")
    assert "image/png" not in drawing
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert "<script" not in str(output.get("data", {}).get("text/html", ""))
