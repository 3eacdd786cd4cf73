"""The search over the candidate tree: the tree as policies see it, the policies, first looks, early stops, ablation."""
