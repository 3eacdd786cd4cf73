"""Columns that name images: recognised, read into pictures, refused with every fault, remembered."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.errors import InputError
from tools.intake.table import open_table
from tools.intake.testfile import open_test
from tools.portable import images
from tools.portable.reading import read_table
from tools.profiling.profile import profile_table
from tools.recipes.parts.pictures import colours, descriptors, oriented_gradients, pixels_of, textures

Image = pytest.importorskip("PIL.Image")


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def _table(folder: Path, rows: int = 24, suffix: str = ".png") -> Path:
    """A table beside a folder of images: red or blue squares of 16 × 16 pixels."""
    rng = np.random.default_rng(0)
    names, kinds = [], []
    for row in range(rows):
        pixels = rng.integers(0, 80, (16, 16, 3))
        pixels[:, :, 0 if row % 2 else 2] += 150
        names.append(f"photos/p{row:02d}{suffix}")
        kinds.append("red" if row % 2 else "blue")
        _save(folder / names[-1], pixels)
    path = folder / "table.csv"
    pd.DataFrame({"photo": names, "size": np.arange(rows) / 7, "kind": kinds}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif", ".webp", ".jpg"])
def test_a_column_of_paths_becomes_pictures(home: Path, tmp_path: Path, suffix: str) -> None:
    """Paths beside the table are read whatever their format; the profile calls the column images, and sizes it."""
    table = open_table(_table(tmp_path, suffix=suffix))
    assert table.spec["columns"]["photo"] == {"type": "image", "format": None, "side": 16}
    profile = profile_table(table.frame, "kind")
    column = profile.column("photo")
    assert column is not None
    assert (column.kind, column.suspicion, column.stats) == ("image", None, {"side": 16, "grey": 0.0})
    assert "image" in profile.traits
    pixels = pixels_of(table.frame, "photo", 16)
    assert min(pixels[1, :, :, 0].mean(), pixels[0, :, :, 2].mean()) > 0.5


def test_a_release_reads_the_same_pictures(home: Path, tmp_path: Path) -> None:
    """What a release reads with the read spec is what the build learned from; pictures in cells are taken as they are."""
    path = _table(tmp_path)
    table = open_table(path)
    again = read_table(path, table.spec)
    pd.testing.assert_frame_equal(again, table.frame)
    table.frame.to_csv(tmp_path / "cells.csv", index=False)
    moved = tmp_path / "elsewhere" / "cells.csv"
    moved.parent.mkdir()
    (tmp_path / "cells.csv").rename(moved)
    pd.testing.assert_frame_equal(read_table(moved, table.spec), table.frame)
    assert open_table(moved).spec["columns"]["photo"]["side"] == 16


def test_absolute_paths_and_a_test_file_elsewhere(home: Path, tmp_path: Path) -> None:
    """Absolute paths need no folder, and those of a test file count from its own."""
    path = _table(tmp_path)
    frame = pd.read_csv(path)
    frame["photo"] = [str(tmp_path / name) for name in frame["photo"]]
    frame.to_csv(tmp_path / "absolute.csv", index=False)
    table = open_table(path)
    pd.testing.assert_frame_equal(open_table(tmp_path / "absolute.csv").frame, table.frame)
    other = _table(tmp_path / "other", rows=22)
    test, _ = open_test(str(other), table, "kind")
    assert test["photo"].tolist() == table.frame["photo"].tolist()[:22]


def test_missing_and_broken_files_are_all_named(home: Path, tmp_path: Path) -> None:
    """Files that are not there are counted and the first named; those that are no images are named with the reason."""
    path = _table(tmp_path)
    for row in range(5):
        (tmp_path / f"photos/p{row:02d}.png").unlink()
    (tmp_path / "photos/p10.png").write_text("no image")
    whole = (tmp_path / "photos/p11.png").read_bytes()
    (tmp_path / "photos/p11.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        open_table(path)
    said = "\n".join(map(str, caught.value.problems))
    assert "5 image files are not there: 'photos/p00.png', 'photos/p01.png', 'photos/p02.png' and 2 more" in said
    assert "2 image files cannot be read as images: 'photos/p10.png'" in said
    assert "'photos/p11.png'" in said
    assert "column 'photo'" in said
    assert str(tmp_path) in said


def test_names_without_files_stay_text(home: Path, tmp_path: Path) -> None:
    """Where none of the files is there the names are kept as text, and a note says so."""
    frame = pd.DataFrame({"photo": [f"a{row}.jpg" for row in range(30)], "y": np.arange(30) % 2})
    frame.to_csv(tmp_path / "names.csv", index=False)
    table = open_table(tmp_path / "names.csv")
    assert table.spec["columns"]["photo"]["type"] == "text"
    assert any("none of which is there" in note for note in table.notes)


def test_pictures_are_remembered_by_content(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second reading decodes nothing; a changed file is decoded anew."""
    path = _table(tmp_path)
    first = open_table(path).frame
    decoded: list[int] = []
    real = images.picture
    monkeypatch.setattr(images, "picture", lambda data, side: decoded.append(len(data)) or real(data, side))
    pd.testing.assert_frame_equal(open_table(path).frame, first)
    assert decoded == []
    _save(tmp_path / "photos/p00.png", np.zeros((16, 16, 3)))
    assert open_table(path).frame["photo"][0] != first["photo"][0]
    assert len(decoded) == 1


def test_odd_images_are_brought_to_one_form() -> None:
    """Grey, deep, transparent and palette images, any size: one square of bytes; colour only where there is some."""
    import io

    def content(image: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")  # type: ignore[attr-defined]
        return buffer.getvalue()

    ramp = np.linspace(0, 255, 40 * 20).reshape(40, 20)
    grey = images.picture(content(Image.fromarray(ramp.astype(np.uint8))), 16)
    deep = images.picture(content(Image.fromarray((ramp * 257).astype(np.uint16))), 16)
    assert grey.startswith("image:16x16x1:")
    one, other = (np.frombuffer(base64.b64decode(cell.split(":")[2]), np.uint8).astype(int) for cell in (grey, deep))
    assert np.abs(one - other).max() <= 1
    clear = images.picture(content(Image.new("RGBA", (9, 9), (255, 0, 0, 0))), 16)
    assert set(base64.b64decode(clear.split(":")[2])) == {255}
    colour = images.picture(content(Image.new("RGB", (9, 9), (200, 10, 10)).convert("P")), 16)
    assert colour.startswith("image:16x16x3:")
    with pytest.raises(ValueError, match="no PNG"):
        images.picture(b"nothing of the kind", 16)


def test_descriptors_see_what_they_are_made_for() -> None:
    """Edges fall into the direction they have, colours into their own bins, flat pictures into no texture but one."""
    upright, level = np.zeros((2, 1, 16, 16, 3))
    upright[:, :, 8:], level[:, 8:] = 1.0, 1.0
    by_direction = [oriented_gradients(one, 4).reshape(-1, 9).sum(axis=0) for one in (upright, level)]
    assert by_direction[0].argmax() == 0
    assert by_direction[1].argmax() in (4, 5)
    assert colours(upright)[0, :64].max() == 0.5
    flat = textures(np.full((1, 16, 16, 3), 0.5))[0]
    assert flat.reshape(5, 10)[:, 0].tolist() == [1.0] * 5
    cell = f"image:16x16x1:{base64.b64encode(bytes(256)).decode()}"
    found = descriptors(pd.DataFrame({"p": [cell, np.nan, "never seen ✓"]}), "p", 16, False)
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(found, 3)
    assert all(np.isfinite(values).all() for values in found.values())
