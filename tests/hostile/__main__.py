"""`python -m tests.hostile [FILE]`: run every attack in every tier and print the table that docs/security.md shows."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hostile.batch import Batch, Role, Rows, is_expected, roles, run_batch
from tests.hostile.running import ATTACKS

TIERS = ("T3", "T2", "T1")


def cell(rows: Rows, name: str) -> str:
    """What the table says: `X` succeeded, `·` stopped, `?` not run."""
    if "" in rows or name not in rows:
        return "?"
    return "X" if rows[name]["evidence"] else "·"


def shown(role: Role, batch: Batch, name: str) -> str:
    """The column of the control: where the attack was shown to succeed, or why it was not."""
    attack = next(one for one in ATTACKS if one.name == name)
    if attack.control is None:
        return attack.why_no_control
    if not is_expected(role, attack.root_only):
        return attack.root_only
    won = batch[attack.control].get(name, {}).get("evidence")
    return ("plain subprocess" if attack.control == "plain" else "T3") if won else "**not shown**"


def table() -> list[str]:
    """Lines of the table in Markdown, and below it why a column could not be run."""
    batches = {role: run_batch(["T2", "T1", "plain", "T3"], role, everything=True) for role in roles()}
    found = {(place, role): rows for role, batch in batches.items() for place, rows in batch.items()}
    columns = [(place, role) for role in roles() for place in TIERS]
    heads = [f"{place} {'root' if role == 'as this user' and len(roles()) > 1 else 'user'}" for place, role in columns]
    lines = [f"| attack | shown to succeed | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    subject = ""
    for attack in ATTACKS:
        if attack.subject != subject:
            subject = attack.subject
            lines.append(f"| **{subject}** |" + " |" * (len(heads) + 1))
        cells = [cell(found[column], attack.name) for column in columns]
        control = shown(roles()[0], batches[roles()[0]], attack.name)
        lines.append(f"| {attack.name} | {control} | {' | '.join(cells)} |")
    totals = [sum(cell(found[column], attack.name) == "X" for attack in ATTACKS) for column in columns]
    lines.append(f"| **succeeded out of {len(ATTACKS)}** | | {' | '.join(map(str, totals))} |")
    closed = [
        f"{head}: {rows['']['why']}"
        for head, column in zip(heads, columns, strict=True)
        if "" in (rows := found[column])
    ]
    return [*lines, "", *closed]


def main() -> None:
    """Print the table; also write it to the file named."""
    text = "\n".join(table()) + "\n"
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
