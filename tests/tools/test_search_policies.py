"""The search policies on hand-made trees: each does what it is known for, deterministically, with valid operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.candidate import Finding
from state.search import Operation, PolicyName
from tools.search.policies import POLICIES, choose
from tools.search.taking import MOST_REPAIRS, SearchBudget
from tools.search.tree import Draft, Node, Tree

BUDGET = SearchBudget(count=6, seconds=100.0, slots=2, iteration=2, seed=3)


def node(name: str, value: float | None, recipe: str = "boosting", **more: object) -> Node:
    facts = {"recipe": recipe, "family": recipe, "ideas": 3, "wall": 1.0, "work": 2.0, **more}
    return Node(id=name, value=value, status="done" if value is not None else "failed", **facts)  # type: ignore[arg-type]


def a_tree() -> Tree:
    """Three families, one of them improved once, one failure, two untried drafts, an open finding."""
    return Tree(
        nodes=(
            node("a", 0.80),
            node("b", 0.78, "linear"),
            node("c", 0.70, "forest"),
            node("dead", None, "kernel", ideas=0),
            node("a1", 0.85, parents=("a",), operator="improve", iteration=1, cites=("old",)),
        ),
        drafts=(Draft("kernel", "kernel", 1.0, 2.0), Draft("histogram", "boosting", 1.0, 2.0)),
        findings=(
            Finding(id="old", source="predictions", topic="segment", text="…"),
            Finding(id="new", source="predictions", topic="residuals", text="…"),
        ),
        pairs=frozenset({("a1", "b"), ("b", "a1"), ("b", "c")}),
    )


def valid(tree: Tree, operation: Operation) -> bool:
    """Parents are there and usable (a repair's has failed), and there are as many as the operator takes."""
    parents = [tree.node(name) for name in operation.parents]
    if operation.operator == "draft":
        return not parents and operation.recipe in {draft.recipe for draft in tree.drafts}
    if operation.operator == "repair":
        return len(parents) == 1 and parents[0] is not None and parents[0].status == "failed"
    usable = all(parent is not None and parent.usable and parent.whole for parent in parents)
    return usable and len(parents) == (2 if operation.operator == "crossover" else 1)


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_operation_is_valid_and_the_same_again(name: PolicyName) -> None:
    """Whatever the policy and seed: as many as wanted, each valid with a reason, and the same for the same question."""
    tree = a_tree()
    for seed in range(20):
        budget = replace(BUDGET, seed=seed)
        chosen = choose(name, tree, budget)
        assert len(chosen) == budget.count
        assert all(valid(tree, operation) and operation.reason for operation in chosen)
        assert chosen == choose(name, tree, budget)


@pytest.mark.parametrize("name", list(POLICIES))
def test_no_candidate_is_improved_more_often_than_it_has_ideas(name: PolicyName) -> None:
    """When everything is used up a policy gives fewer operations, at last none, and no draft or pair twice."""
    tree = a_tree()
    chosen = POLICIES[name](tree, replace(BUDGET, count=50))
    for one in tree.nodes:
        improved = [one.id] in [operation.parents for operation in chosen]
        assert not improved or sum(o.operator == "improve" and o.parents == [one.id] for o in chosen) <= one.ideas
    rest = [(o.operator, o.recipe, tuple(o.parents)) for o in chosen if o.operator != "improve"]
    assert len(rest) == len(set(rest))
    done = Tree(nodes=tuple(replace(one, ideas=0) for one in tree.nodes if one.usable))
    assert POLICIES[name](done, BUDGET) == []


@pytest.mark.parametrize("name", list(POLICIES))
def test_nothing_is_begun_that_cannot_end(name: PolicyName) -> None:
    """Ideas that need longer than the search has left are not chosen, nor more than fit together."""
    tree = a_tree()
    slow = Tree(
        nodes=tuple(replace(one, wall=1000.0 if one.id == "a1" else 1.0) for one in tree.nodes),
        drafts=tuple(replace(draft, wall=1000.0) for draft in tree.drafts),
    )
    chosen = choose(name, slow, BUDGET)
    assert chosen
    assert all(operation.operator != "draft" and "a1" not in operation.parents for operation in chosen)
    tight = choose(name, tree, replace(BUDGET, seconds=3.0))
    assert len(tight) == 3  # 2 slot seconds each, 6 are left
    failed = Tree(nodes=(node("x", None),), drafts=tree.drafts)
    assert len(choose(name, failed, replace(BUDGET, seconds=0.0))) <= 1


def test_greedy_climbs_from_the_best() -> None:
    """The best is improved while it has ideas, then the next best."""
    chosen = choose("greedy", a_tree(), BUDGET)
    assert [operation.parents for operation in chosen] == [["a1"]] * 3 + [["a"]] * 3


def test_best_first_repairs_failures_with_some_chance_and_expands_the_best() -> None:
    """Over seeds a failed leaf is repaired about every other time and never twice; the best is expanded first."""
    repaired = 0
    for seed in range(60):
        chosen = choose("best-first", a_tree(), replace(BUDGET, count=1, seed=seed))
        repaired += chosen[0].operator == "repair"
        improved = choose("best-first", a_tree(), replace(BUDGET, seed=seed))
        assert sum(operation.operator == "repair" for operation in improved) <= 1
        first = next(operation for operation in improved if operation.operator == "improve")
        assert first.parents == ["a1"]
    assert 15 <= repaired <= 45


def test_best_first_begins_with_drafts_and_leaves_hopeless_repairs() -> None:
    """With few candidates there are drafts first; a chain of failed repairs is left alone."""
    young = Tree(nodes=(node("a", 0.8),), drafts=a_tree().drafts)
    assert [o.operator for o in choose("best-first", young, replace(BUDGET, count=2))] == ["draft", "draft"]
    chain = [
        node("r0", None, ideas=0),
        *(
            node(f"r{number}", None, ideas=0, parents=(f"r{number - 1}",), operator="repair")
            for number in range(1, MOST_REPAIRS + 1)
        ),
    ]
    assert choose("best-first", Tree(nodes=tuple(chain)), BUDGET) == []


def test_mcts_spreads_the_operations_of_a_round_and_favours_good_subtrees() -> None:
    """Virtual visits keep one round from drawing the same path again; over time the best subtree gets most visits."""
    roots = tuple(node(f"n{i}", 0.5 + 0.1 * i, f"r{i}", ideas=99) for i in range(4))
    tree = Tree(nodes=roots)
    one_round = choose("mcts", tree, replace(BUDGET, count=4))
    assert len({operation.parents[0] for operation in one_round}) >= 3
    for step in range(30):
        (operation,) = choose("mcts", tree, replace(BUDGET, count=1))
        parent = tree.node(operation.parents[0])
        assert parent is not None
        assert parent.value is not None
        child = node(f"c{step}", parent.value, parent.recipe, ideas=99, parents=(parent.id,), iteration=step + 1)
        tree = replace(tree, nodes=(*tree.nodes, child))
    roots_of = [tree.path(one.id)[0].id for one in tree.nodes if one.parents]
    assert roots_of.count("n3") == max(roots_of.count(root.id) for root in roots)
    assert roots_of.count("n3") > roots_of.count("n0")
    assert "n0" in roots_of  # exploration never leaves a branch for good


def test_mcts_adds_drafts_at_the_root() -> None:
    """The root is widened as its visits grow."""
    tree = replace(a_tree(), nodes=a_tree().nodes[:1])
    assert choose("mcts", tree, replace(BUDGET, count=1))[0].operator == "draft"


def test_evolution_crosses_different_kinds_and_keeps_several_families() -> None:
    """Over seeds there are crossovers, only of pairs that can be crossed, and parents of several families."""
    tree = a_tree()
    crossed, families = 0, set()
    for seed in range(40):
        for operation in choose("evolutionary", tree, replace(BUDGET, seed=seed)):
            if operation.operator == "crossover":
                crossed += 1
                assert tuple(operation.parents) in tree.pairs
            parent = tree.node(operation.parents[0]) if operation.parents else None
            families |= {parent.family} if parent else set()
    assert crossed > 10
    assert families == {"boosting", "linear", "forest"}


def test_portfolio_is_diverse_first_then_answers_findings() -> None:
    """A family nobody tried comes first; an open finding is answered by the best, one that was answered is not."""
    tree = replace(a_tree(), drafts=(Draft("svm", "svm", 1.0, 2.0), *a_tree().drafts))
    chosen = choose("portfolio", tree, BUDGET)
    assert (chosen[0].operator, chosen[0].recipe) == ("draft", "svm")
    cited = [cite for operation in chosen for cite in operation.cites]
    assert cited == ["new"]
    assert next(operation for operation in chosen if operation.cites).parents == ["a1"]
    refined = {operation.parents[0] for operation in chosen if operation.operator == "improve" and not operation.cites}
    assert len(refined) >= 1


def test_auto_begins_with_the_portfolio_and_then_mixes() -> None:
    """After the first drafts the portfolio; later best-first and evolution in turn."""
    tree = a_tree()
    assert choose("auto", tree, replace(BUDGET, iteration=1)) == choose("portfolio", tree, replace(BUDGET, iteration=1))
    later = choose("auto", tree, BUDGET)
    best_first, evolved = choose("best-first", tree, BUDGET), choose("evolutionary", tree, BUDGET)
    assert later[0] == best_first[0]
    assert later[1] == evolved[0]


def test_the_tree_tells_who_came_from_whom() -> None:
    """Children, leaves, the path to the best, and gains between the worst and the best."""
    tree = a_tree()
    assert [one.id for one in tree.children("a")] == ["a1"]
    assert [one.id for one in tree.children(None)] == ["a", "b", "c", "dead"]
    assert [one.id for one in tree.leaves()] == ["b", "c", "dead", "a1"]
    assert [one.id for one in tree.best_path()] == ["a", "a1"]
    gains = [tree.gain(one) for one in tree.nodes]
    assert gains == pytest.approx([2 / 3, 8 / 15, 0.0, 0.0, 1.0])
