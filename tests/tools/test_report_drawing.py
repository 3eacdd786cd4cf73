"""The graph and the candidate tree as pictures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tests.tools.report_cases import GRAPH, METRICS, NASTY, case
from tools.drawing import Edge, graph_svg, read_mermaid
from tools.report.tree import order, tree_svg


def texts(svg: str) -> list[str]:
    """The words of a picture, which must be well-formed XML."""
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_langgraph_mermaid_is_read() -> None:
    """Steps, routes with their labels, and the branch as a group whose own start and end are dissolved."""
    diagram = read_mermaid(GRAPH)
    assert diagram.groups == {"candidate": ["candidate:engineer", "candidate:check", "candidate:runner"]}
    assert Edge("approve_plan", "candidate:engineer", "approved", True) in diagram.edges
    assert Edge("candidate:runner", "strategist", "done", True) in diagram.edges
    assert Edge("__start__", "analyst") in diagram.edges
    assert "candidate:__start__" not in diagram.nodes


def test_hand_written_mermaid_is_read() -> None:
    """Chains, labels in the edge, all bracket shapes, and a subgraph named in an edge."""
    diagram = read_mermaid("""
    graph TD
      S((start)) --> analyst[analyst: profile] --> approve{{approve plan}}
      approve -- changes asked --> analyst
      approve -- one branch --> candidate
      subgraph candidate [a branch]
        engineer[engineer] --> check[check]
        check -- refused --> engineer
      end
      candidate --> strategist -->|stop| E((end))
    """)
    assert diagram.nodes["analyst"] == "analyst: profile"
    assert Edge("approve", "engineer", "one branch", True) in diagram.edges
    assert Edge("check", "strategist") in diagram.edges
    assert Edge("strategist", "E", "stop", True) in diagram.edges
    assert "candidate" not in diagram.nodes


def test_every_step_and_route_is_drawn() -> None:
    """With what was passed coloured differently, and all in the frame."""
    diagram = read_mermaid(GRAPH)
    svg = graph_svg(diagram, visited={"analyst"}, current="examiner")
    words = texts(svg)
    for label in ("analyst", "approve plan", "engineer", "changes asked", "revise inference", "candidate", "start"):
        assert label in words
    assert svg != graph_svg(diagram)
    assert svg.count("marker-end") == len(diagram.edges)
    left, _, width, height = (float(part) for part in re.findall(r'viewBox="([^"]+)"', svg)[0].split())
    for match in re.finditer(r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)"', svg):
        x, y, wide = (float(part) for part in match.groups())
        assert left <= x
        assert x + wide <= left + width
        assert 0 <= y <= height


def test_text_that_is_no_graph_gives_no_picture() -> None:
    """An empty drawing instead of an error."""
    assert graph_svg(read_mermaid("")) == ""
    assert graph_svg(read_mermaid("classDef x fill:#fff")) == ""


def test_labels_are_escaped() -> None:
    """In the graph and in the tree."""
    svg = graph_svg(read_mermaid(f"graph TD;\n a[{NASTY}] --> b;\n"))
    assert "<img" not in svg
    texts(svg)
    candidates = [one.but(plan=one.plan.but(title=NASTY).plain()) for one in case("binary").candidates]
    tree = tree_svg(candidates, None, METRICS["binary"])
    assert "<img" not in tree
    texts(tree)


def test_children_stand_under_their_parents() -> None:
    """Whatever the order they were started in; an unknown parent makes a root."""
    candidates = case("binary").candidates
    orphan = candidates[3].but(id="orphan", plan=candidates[3].plan.but(parent="gone").plain())
    assert [(one.id, depth) for one, depth in order([*candidates, orphan])] == [
        ("i0-linear", 0), ("i0-boosting", 0), ("i1-leaves", 1), ("i1-bins", 1), ("i0-forest", 0), ("i1-tiny", 0), ("i1-blend", 0),
        ("orphan", 0),
    ]  # fmt: skip


def test_the_tree_shows_scores_on_one_scale() -> None:
    """The better one lies further to the named side; one far away does not flatten the others."""
    facts = case("regression")
    svg = tree_svg(facts.candidates, "i1-blend", facts.task.metric, ("constant", 5201.3))
    words = texts(svg)
    assert "RMSE, better to the left" in words
    assert "1,775" in words
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)" cy="[\d.]+" r="[45]" fill', svg) if float(x) > 490]
    linear, boosting, *_ = places
    assert boosting < linear
    assert max(places) - min(places) > 60
    assert "best · blend of i1-leaves, i0-linear" in words


def test_a_long_tree_is_cut_but_keeps_the_best() -> None:
    """And says how many are not drawn."""
    facts = case("binary")
    many = [
        one.but(id=f"c{index}", plan=one.plan.but(parent=None).plain())
        for index in range(30)
        for one in facts.candidates[:1]
    ]
    svg = tree_svg([*many, facts.candidates[-1]], "i1-blend", facts.task.metric, most=10)
    assert "… and 20 more" in texts(svg)
    assert "Weighted blend" in texts(svg)
    assert tree_svg([], None, facts.task.metric) == ""
