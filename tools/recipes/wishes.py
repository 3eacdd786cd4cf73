"""What a person wrote about plans, read as recipes that are wanted or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tools.recipes.recipe import Recipe

_NAMES: dict[str, str] = {
    "boosting": r"boost\w*|lightgbm|lgbm|gbm|gbdt|xgboost|catboost",
    "histogram": r"hist\w*|hgb|skrub",
    "linear": r"linear|logistic|ridge|lasso|elastic\w*|glm|regression models?",
    "forest": r"forests?|extra ?trees|randomi[sz]ed trees|bagg\w*",
    "rates": r"poisson|tweedie|gamma regression|count models?",
    "ranks": r"ordinal|ranks?|cut points?",
    "cumulative": r"cumulative|frank",
    "kernel": r"kernels?|svm|svr|svc|support vector\w*|gaussian|nystr\w*",
    "components": r"pls|partial least squares|components?",
    "text": r"texts?|words?|n-?grams?|tf-?idf",
    "sequence": r"sequences?|k-?mers?|dna|rna|proteins?",
    "image": r"images?|pictures?|photos?",
    "seasonal": r"seasonal\w*|holt\w*|ets|smoothing|structural|trend\w*",
    "forecast": r"forecast\w*|lags?|horizons?",
}
_REFUSAL = r"(?:\b(?:no|not|drop|without|avoid|skip|never|remove|don't use|do not use|instead of)\b[^.;,]*?)"


@dataclass(frozen=True)
class Wishes:
    """Names of recipes or families that are wanted and refused."""

    wanted: frozenset[str] = field(default_factory=frozenset)
    refused: frozenset[str] = field(default_factory=frozenset)

    def wants(self, recipe: Recipe) -> bool:
        return recipe.name in self.wanted and not self.refuses(recipe)

    def refuses(self, recipe: Recipe) -> bool:
        return recipe.name in self.refused or recipe.family in self.refused


def read_wishes(texts: Iterable[str]) -> Wishes:
    """Read sentences such as "no kernels, try a random forest". A later sentence outweighs an earlier one."""
    wanted: set[str] = set()
    refused: set[str] = set()
    for text in texts:
        lowered = text.lower()
        for name, pattern in _NAMES.items():
            if re.search(rf"{_REFUSAL}\b(?:{pattern})\b", lowered):
                refused.add(name)
                wanted.discard(name)
            elif re.search(rf"\b(?:{pattern})\b", lowered):
                wanted.add(name)
                refused.discard(name)
    return Wishes(frozenset(wanted), frozenset(refused))
