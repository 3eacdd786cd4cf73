"""Version skew: carrying a suspended run from the graph that began it over to a changed one.

A migration leads from one fingerprint to another by steps on the thread's rows. Several follow one another. They are
applied to a copy of all rows in memory, and the thread is rewritten in one transaction together with an event that says
so: a kill leaves the run as it was, or migrated. All checkpoints are rewritten, not only the newest, so that the run can be
forked at its earlier steps too.

What LangGraph keeps by name, and a step therefore renames: the channel that triggers a node (`branch:to:NODE`), joins
(`join:A+B:NODE`), what a node has seen (`versions_seen`), branches waiting to be opened (`Send`), the paths of tasks and
the namespaces of subgraphs.

A task's id follows from its node's name. So what a task of a renamed node had written to the newest checkpoint does not
count any more, and neither does an open question of it: the step runs again, answered from the journal, and asks under a
new id.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tools.checkpointbase import VERSION_CHANNEL, version_of
from tools.checkpointrows import ThreadRows, read_thread, remove_thread, write_thread
from tools.checksums import Row
from tools.fingerprint import GraphIdentity
from tools.places import Place
from tools.runlog import RunLog

Content = dict[str, Any]


@dataclass(frozen=True)
class RenameNode:
    """A node of a graph has another name now."""

    old: str
    new: str
    graph: str = ""
    """Empty for the main graph, else the names of the nodes that lead to the subgraph, joined by `|`."""

    def content(self, content: Content) -> Content:
        changed = {
            **content,
            "channel_values": _keys(content["channel_values"], self._channel),
            "channel_versions": _keys(content["channel_versions"], self._channel),
            "versions_seen": {
                self._node(node): _keys(seen, self._channel) for node, seen in content["versions_seen"].items()
            },
        }
        if content.get("updated_channels") is not None:
            changed["updated_channels"] = sorted(self._channel(name) for name in content["updated_channels"])
        changed["channel_values"] = {name: self._sends(value) for name, value in changed["channel_values"].items()}
        return changed

    def write(self, channel: str, value: Any) -> tuple[str, Any]:
        return self._channel(channel), self._sends(value)

    def namespace(self, part: str) -> str:
        """A part of a checkpoint namespace, such as `candidate:1f0e…`, of the graph this node lies in."""
        name, mark, task = part.partition(":")
        return f"{self._node(name)}{mark}{task}"

    def path(self, path: str) -> str:
        return ", ".join(self._node(part) for part in path.split(", "))

    def _node(self, name: str) -> str:
        return self.new if name == self.old else name

    def _channel(self, name: str) -> str:
        for prefix in ("branch:to:", "start:"):
            if name.startswith(prefix):
                return prefix + self._node(name.removeprefix(prefix))
        if name.startswith("join:"):
            starts, _, end = name.removeprefix("join:").partition(":")
            return f"join:{'+'.join(map(self._node, starts.split('+')))}:{self._node(end)}"
        return name

    def _sends(self, value: Any) -> Any:
        if type(value).__name__ == "Send":  # what opens a branch
            return type(value)(self._node(value.node), value.arg)
        if isinstance(value, list | tuple):
            return type(value)(self._sends(item) for item in value)
        return value


@dataclass(frozen=True)
class AddChannel:
    """The state has another field now; runs from before get this value in it."""

    name: str
    value: Any
    graph: str = ""

    def content(self, content: Content) -> Content:
        versions = content["channel_versions"]
        if self.name in versions or not versions:
            return content
        return {
            **content,
            "channel_values": {**content["channel_values"], self.name: self.value},
            # LangGraph drops values of channels that have no version. No node waits for this one, so any will do.
            "channel_versions": {**versions, self.name: max(versions.values())},
        }

    def write(self, channel: str, value: Any) -> tuple[str, Any]:
        return channel, value


@dataclass(frozen=True)
class DropChannel:
    """The state has lost a field, and its content is not needed."""

    name: str
    graph: str = ""

    def content(self, content: Content) -> Content:
        changed = {
            **content,
            "channel_values": _without(content["channel_values"], self.name),
            "channel_versions": _without(content["channel_versions"], self.name),
            "versions_seen": {node: _without(seen, self.name) for node, seen in content["versions_seen"].items()},
        }
        if content.get("updated_channels") is not None:
            changed["updated_channels"] = [name for name in content["updated_channels"] if name != self.name]
        return changed

    def write(self, channel: str, value: Any) -> tuple[str, Any] | None:
        return None if channel == self.name else (channel, value)


@dataclass(frozen=True)
class ChangeChannel:
    """A field has another name, or holds another kind of value."""

    name: str
    convert: Callable[[Any], Any] = lambda value: value
    new: str = ""
    """Its new name; empty when it keeps the old one."""
    graph: str = ""

    def content(self, content: Content) -> Content:
        values = content["channel_values"]
        if self.name in values:
            values = {**values, self.name: self.convert(values[self.name])}
        changed = {
            **content,
            "channel_values": _keys(values, self._named),
            "channel_versions": _keys(content["channel_versions"], self._named),
            "versions_seen": {node: _keys(seen, self._named) for node, seen in content["versions_seen"].items()},
        }
        if content.get("updated_channels") is not None:
            changed["updated_channels"] = sorted(map(self._named, content["updated_channels"]))
        return changed

    def write(self, channel: str, value: Any) -> tuple[str, Any]:
        return (self._named(channel), self.convert(value)) if channel == self.name else (channel, value)

    def _named(self, name: str) -> str:
        return self.new or name if name == self.name else name


Step = RenameNode | AddChannel | DropChannel | ChangeChannel


@dataclass(frozen=True)
class Migration:
    """From one graph to another. `before` and `after` are fingerprints; without steps: the change is harmless."""

    number: int
    before: str
    after: str
    reason: str
    """What changed, for the run's log."""
    steps: tuple[Step, ...] = ()


def way(migrations: Sequence[Migration], before: str, after: str) -> list[Migration] | None:
    """The shortest sequence of migrations from one graph to another; None when there is none."""
    waiting: deque[tuple[str, list[Migration]]] = deque([(before, [])])
    seen = {before}
    while waiting:
        place, taken = waiting.popleft()
        if place == after:
            return taken
        for one in sorted(migrations, key=lambda migration: migration.number):
            if one.before == place and one.after not in seen:
                seen.add(one.after)
                waiting.append((one.after, [*taken, one]))
    return None


def migrate_thread(place: Place, thread: str, migrations: Sequence[Migration], graph: GraphIdentity) -> None:
    """Rewrite a thread's rows for another graph, and say so in the run's log, in one transaction.

    graph: what the last migration leads to. Raises CheckpointDamaged for rows that are not whole: nothing is written.
    """
    log = RunLog(place)
    try:
        with log.database.write() as db:
            rows = read_thread(place, thread)
            if _version(rows) != migrations[0].before:
                return  # whoever was quicker has done it
            for migration in migrations:
                rows = migrated(rows, migration)
            shape, packages = (json.dumps(value, ensure_ascii=False) for value in (graph.shape, graph.packages))
            known = [row for row in rows.graphs if row["version"] != graph.version]
            rows = replace(rows, graphs=[*known, {"version": graph.version, "shape": shape, "packages": packages}])
            remove_thread(db, place, thread)
            write_thread(db, place, rows)
            for migration in migrations:
                facts: dict[str, Any] = {
                    "number": migration.number,
                    "before": migration.before,
                    "after": migration.after,
                }
                facts["asks_anew"] = any(isinstance(step, RenameNode) for step in migration.steps)
                log.add_event("migrated", "", f"brought up to today's graph: {migration.reason}", facts)
    finally:
        log.close()


def _version(rows: ThreadRows) -> str | None:
    """The graph of a thread's newest state."""
    place = rows.newest_place()
    return None if place is None else version_of(rows.checkpoints[place].get("graph"), rows.values(place))


def migrated(rows: ThreadRows, migration: Migration) -> ThreadRows:
    """A thread's rows as the graph after the migration would have left them."""

    def change(namespace: str) -> Callable[[Content], Content]:
        def content(found: Content) -> Content:
            for one in _steps(migration, namespace):
                found = one.content(found)
            values = found["channel_values"]
            if VERSION_CHANNEL in values:
                found = {**found, "channel_values": {**values, VERSION_CHANNEL: migration.after}}
            return found

        return content

    checkpoints: dict[tuple[str, str], Row] = {}
    for (namespace, identity), row in rows.checkpoints.items():
        named = _namespace(migration, namespace)
        new = rows.rewritten(row, change(namespace))
        metadata = _metadata(migration, new["metadata"])
        checkpoints[named, identity] = {**new, "checkpoint_ns": named, "graph": migration.after, "metadata": metadata}
    writes = [made for row in rows.writes if (made := _write(rows, migration, row)) is not None]
    return replace(rows, checkpoints=checkpoints, writes=writes)


def _write(rows: ThreadRows, migration: Migration, row: Row) -> Row | None:
    namespace = row["checkpoint_ns"]
    channel, value = row["channel"], rows.serializer.loads_typed((row["type"], row["value"]))
    path = row["task_path"]
    for one in _steps(migration, namespace):
        written = one.write(channel, value)
        if written is None:
            return None
        channel, value = written
        if isinstance(one, RenameNode):
            path = one.path(path)
    kind, blob = rows.serializer.dumps_typed(value)
    named = _namespace(migration, namespace)
    return {**row, "checkpoint_ns": named, "task_path": path, "channel": channel, "type": kind, "value": blob}


def _metadata(migration: Migration, metadata: bytes | None) -> bytes | None:
    """Metadata name the checkpoints a subgraph was called from, by their namespaces."""
    if not metadata:
        return metadata
    told = json.loads(metadata)
    if told.get("parents"):
        told["parents"] = {_namespace(migration, name): identity for name, identity in told["parents"].items()}
    return json.dumps(told, ensure_ascii=False).encode()


def _namespace(migration: Migration, namespace: str) -> str:
    """A namespace with the new names of the nodes it leads through."""
    parts = namespace.split("|")
    for step in migration.steps:
        if isinstance(step, RenameNode):
            for index in range(len(parts)):
                if _graph("|".join(parts[:index])) == step.graph:
                    parts[index] = step.namespace(parts[index])
    return "|".join(parts)


def _steps(migration: Migration, namespace: str) -> list[Step]:
    return [step for step in migration.steps if step.graph == _graph(namespace)]


def _graph(namespace: str) -> str:
    """The graph a namespace belongs to: its nodes without the ids of their tasks."""
    return "|".join(part.partition(":")[0] for part in namespace.split("|"))


def _keys(mapping: dict[str, Any], named: Callable[[str], str]) -> dict[str, Any]:
    return {named(key): value for key, value in mapping.items()}


def _without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}
