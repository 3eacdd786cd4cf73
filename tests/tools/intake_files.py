"""Files that people bring, well-formed and not, written small."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 60


def people(rows: int = ROWS) -> pd.DataFrame:
    """Mixed columns: a number, a whole number, a category, a date, a binary target."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "height": (170 + rng.normal(0, 9, rows)).round(1),
            "children": rng.integers(0, 5, rows),
            "city": rng.choice(["Rome", "Oslo", "Bern"], rows),
            "born": pd.date_range("1980-01-05", periods=rows, freq="37D").strftime("%Y-%m-%d"),
            "bought": rng.choice(["yes", "no"], rows),
        }
    )


def csv_text(rows: int = ROWS, **options: object) -> str:
    return people(rows).to_csv(index=False, lineterminator="\n", **options)  # type: ignore[call-overload,no-any-return]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def column_file(folder: Path, **columns: list[object]) -> Path:
    """A CSV of the given columns, written as they are."""
    path = folder / "columns.csv"
    pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}).to_csv(path, index=False)
    return path


def write_xlsx(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    """A minimal workbook, made by hand: text as inline strings, numbers and booleans as they are."""

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if value != "" else "<c/>"

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbered = list(enumerate(sheets.items(), 1))
    listed = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, (name, _) in numbered)
    links = "".join(
        f'<Relationship Id="r{i}" Type="{relations}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i, _ in numbered
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="w" '
            f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{listed}</sheets></workbook>'
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}/relationships">{links}</Relationships>'
        )
        for i, (_, rows) in numbered:
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{i}.xml", f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
            )
    return path
