"""Damage: what of a run is no longer as it was written, in plain words, with the way out."""
