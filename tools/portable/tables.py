"""Tables on disk: uncompressed Arrow IPC files that are memory-mapped when read.

Numbers come back as they went in; text comes back as object dtype holding str or NaN, under pandas 2 and 3 alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def write_arrow(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame as one Arrow IPC file; the index is not kept.

    Columns may hold numbers, booleans, datetimes and text; missing text becomes null. Raises ValueError for duplicate
    column names and TypeError, naming the column, for cells that are neither.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"column names appear twice: {sorted({name for name in names if names.count(name) > 1})}")
    arrays = [_to_arrow(frame.iloc[:, place], names[place]) for place in range(len(names))]
    table = pa.Table.from_arrays(arrays, names=names)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


LARGE_FILE = 1 << 26
"""Bytes from which numbers are left in the mapped file instead of being copied into memory."""
_FEW_CELLS = 5_000_000


def read_arrow(
    path: str | Path, columns: Sequence[str] | None = None, rows: np.ndarray[Any, Any] | None = None
) -> pd.DataFrame:
    """The frame in an Arrow IPC file, or only `columns` or `rows` (positions) of it, in their order; the index is 0 … n-1.

    Only what is asked for is copied into memory, and of a large file that is asked for whole the texts alone: its numbers
    stay in the mapped file, read-only. Raises OSError when the file is absent and ValueError when it is damaged or lacks
    a column.
    """
    with pa.memory_map(str(path), "r") as source:
        try:
            table = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no Arrow file or is damaged ({error})") from error
        absent = [name for name in columns or () if name not in table.column_names]
        if absent:
            raise ValueError(f"{path} lacks the columns {absent}; it has {table.column_names[:20]}")
        wanted = table.column_names if columns is None else list(columns)
        series = {name: _from_arrow(table.column(name), rows) for name in wanted}
        count = table.num_rows if rows is None else len(rows)
        large = Path(path).stat().st_size >= LARGE_FILE if rows is None else count * len(wanted) > _FEW_CELLS
        # Built inside the block: the columns still point into the mapped file until pandas has copied them. Where it does
        # not copy, they keep the mapping alive. A copy of few cells is one block, on which pandas is quicker.
        frame = pd.DataFrame(series, index=pd.RangeIndex(count), copy=not large)
    frame.columns = pd.Index(wanted)
    return frame


def _to_arrow(values: pd.Series[Any], name: str) -> pa.Array:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iufb":
        return pa.array(values.to_numpy())
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
        return pa.array(values.to_numpy().astype("datetime64[ns]"))
    try:
        return pa.array(values.to_numpy(dtype=object), type=pa.large_string(), from_pandas=True)
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise TypeError(f"column {name!r} ({values.dtype}) holds cells that are no text: {error}") from error


def _from_arrow(column: pa.ChunkedArray, rows: np.ndarray[Any, Any] | None) -> pd.Series[Any]:
    if not pa.types.is_large_string(column.type) and not pa.types.is_string(column.type):
        values = column.chunk(0).to_numpy(zero_copy_only=False) if column.num_chunks == 1 else column.to_numpy()
        return pd.Series(values if rows is None else values[rows], copy=False)
    encoded = column.combine_chunks().dictionary_encode()  # equal texts share one Python string
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    pool = np.empty(len(encoded.dictionary) + 1, dtype=object)
    pool[:] = [*encoded.dictionary.to_pylist(), np.nan]
    codes = encoded.indices.fill_null(len(pool) - 1).to_numpy(zero_copy_only=False)
    return pd.Series(pool[codes if rows is None else codes[rows]], dtype=object)
