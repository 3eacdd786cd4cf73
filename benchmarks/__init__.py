"""Campaigns: measured comparisons, each with a make target and its result in the docs."""
