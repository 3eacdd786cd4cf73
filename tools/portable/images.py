"""Columns of images: a cell that names a file becomes a small picture, written as text, that fits into a table.

Such a text reads `image:<side>x<side>x<channels>:<base64>`; decoded, it holds one byte per pixel and channel (1 grey,
3 red, green, blue), row by row. A cell that is written so already is taken as it is, so that a table with pictures in it
can be stored and read without the files. Pillow is needed for files only.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

PREFIX = "image:"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
INSTALL = "pip install 'pillow>=11'"
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_HEAD = re.compile(r"image:(\d+)x(\d+)x([13]):")
_NAMED = 3

Array = np.ndarray[Any, np.dtype[Any]]


class ImageFilesError(ValueError):
    """Cells that are no readable images; `faults` names each kind of fault with its number and the first few cells."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def to_images(
    texts: Iterable[Any], side: int, folder: str | Path = ".", known: MutableMapping[str, str] | None = None
) -> Array:
    """Cells as pictures of `side` × `side` pixels, object array (n,) of str; NaN where a cell is missing.

    A cell is the path of a file, absolute or counted from `folder`, or a picture already. known: cells that were read
    before and their pictures; new ones are added. Raises ImageFilesError naming every kind of fault.
    """
    cells = list(texts)
    pool: MutableMapping[str, str] = {} if known is None else known
    absent: list[str] = []
    broken: list[str] = []
    for cell in dict.fromkeys(cell for cell in cells if isinstance(cell, str)):
        if cell in pool:
            continue
        try:
            if cell.startswith(PREFIX):
                pool[cell] = _checked(cell, side)
            elif (path := Path(folder, cell).expanduser()).is_file():
                pool[cell] = picture(path.read_bytes(), side)
            else:
                absent.append(cell)
        except (OSError, ValueError) as error:
            broken.append(f"{cell[:80]!r} ({str(error).splitlines()[0][:80]})")
    faults = [_fault("is not there", "are not there", [repr(cell[:80]) for cell in absent])]
    faults.append(_fault("cannot be read as an image", "cannot be read as images", broken))
    if any(faults):
        raise ImageFilesError([fault for fault in faults if fault])
    found = np.empty(len(cells), dtype=object)
    found[:] = [pool[cell] if isinstance(cell, str) else np.nan for cell in cells]
    return found


def _fault(one: str, many: str, cells: list[str]) -> str:
    if not cells:
        return ""
    more = f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
    return f"{len(cells)} image file{'s' * (len(cells) > 1)} {one if len(cells) == 1 else many}: " + (
        ", ".join(cells[:_NAMED]) + more
    )


def _checked(cell: str, side: int) -> str:
    head = _HEAD.match(cell)
    if head is None or (int(head[1]), int(head[2])) != (side, side):
        raise ValueError(f"a picture of {side} × {side} pixels is expected")
    if len(base64.b64decode(cell[head.end() :], validate=True)) != side * side * int(head[3]):
        raise ValueError("the picture is cut off")
    return cell


def picture(data: bytes, side: int) -> str:
    """The content of an image file as a cell: upright, on white where transparent, squeezed to a square.

    Raises ValueError when Pillow cannot decode it, or is not there.
    """
    pixels = _pixels(data, side)
    if (pixels == pixels[:, :, :1]).all():
        pixels = pixels[:, :, :1]
    return f"{PREFIX}{side}x{side}x{pixels.shape[2]}:{base64.b64encode(pixels.tobytes()).decode('ascii')}"


def size_of(data: bytes) -> int:
    """The longer side of an image file in pixels, from its head. Raises ValueError as `picture` does."""
    width, height = _opened(data).size
    return int(max(width, height))


def _opened(data: bytes) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ValueError(f"reading images needs a library: {INSTALL}") from error
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(_reason(error)) from error


def _pixels(data: bytes, side: int) -> Array:
    """Pixels as uint8 (side, side, 3)."""
    image = _opened(data)
    from PIL import Image, ImageOps

    try:
        image.draft("RGB", (2 * side, 2 * side))  # a JPEG is then decoded at a fraction of its size
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I") or image.mode == "F":  # more than eight bits per pixel
            deep = np.asarray(image, dtype=np.float64)
            image = Image.fromarray(np.clip(deep / (257.0 if deep.max() > 255 else 1.0), 0, 255).astype(np.uint8))
        if image.mode in ("P", "LA", "PA", "RGBA") or "transparency" in image.info:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
        small = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        raise ValueError(_reason(error)) from error
    return np.asarray(small, dtype=np.uint8)


def _reason(error: Exception) -> str:
    if "cannot identify" in str(error):
        return "it is no PNG, JPEG, BMP, GIF or WebP file"
    return str(error) or type(error).__name__


def content_key(data: bytes, side: int) -> str:
    """What a picture is remembered by: the hash of its file and the size it was brought to."""
    return f"{hashlib.sha256(data).hexdigest()}/{side}"
