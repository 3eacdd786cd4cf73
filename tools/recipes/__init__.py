"""Builtin recipes: from a plan to a readable training program."""
