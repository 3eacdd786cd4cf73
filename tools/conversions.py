"""What an artifact store offers beyond bytes: texts, plain data, arrays and frames, each checked against its hash."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from state.errors import ArtifactDamaged
from state.records import canonical_json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PREFIX = "sha256:"


class Conversions:
    """The helpers of `ArtifactStore`, for any store that has put, get and export."""

    def put(self, data: bytes | Path) -> str:
        raise NotImplementedError

    def get(self, ref: str) -> BinaryIO:
        raise NotImplementedError

    def export(self, ref: str, target: Path) -> None:
        raise NotImplementedError

    def put_text(self, text: str) -> str:
        return self.put(text.encode("utf-8", "surrogatepass"))

    def get_text(self, ref: str) -> str:
        return self._whole(ref).decode("utf-8", "surrogatepass")

    def put_json(self, value: Any) -> str:
        return self.put(canonical_json(value).encode("utf-8", "surrogatepass"))

    def get_json(self, ref: str) -> Any:
        return json.loads(self._whole(ref).decode("utf-8", "surrogatepass"))

    def put_array(self, array: np.ndarray) -> str:
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return self.put(buffer.getvalue())

    def get_array(self, ref: str) -> np.ndarray:
        import numpy as np

        array: np.ndarray = np.load(io.BytesIO(self._whole(ref)), allow_pickle=False)
        return array

    def put_frame(self, frame: pd.DataFrame) -> str:
        from tools.portable.tables import write_arrow

        with self._scratch() as folder:
            write_arrow(frame, folder / "frame.arrow")
            return self.put(folder / "frame.arrow")

    def get_frame(self, ref: str, columns: list[str] | None = None) -> pd.DataFrame:
        from tools.portable.tables import read_arrow

        with self._scratch() as folder:
            self.export(ref, folder / "frame.arrow")
            return read_arrow(folder / "frame.arrow", columns)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="modelwright-") as folder:
            yield Path(folder)

    def _whole(self, ref: str) -> bytes:
        with self.get(ref) as stream:
            data = stream.read()
        if PREFIX + hashlib.sha256(data).hexdigest() != ref:
            raise damaged(ref)
        return data


def damaged(ref: str) -> ArtifactDamaged:
    """The error for content that is not what its reference promises."""
    return ArtifactDamaged(
        f"the artifact {ref!r} does not have the content its name promises",
        hint="the disk or another program changed it; run the command again, and it is made anew where possible",
    )
