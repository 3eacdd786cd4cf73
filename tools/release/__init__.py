"""The model folder: programs, models, manifest, card."""
