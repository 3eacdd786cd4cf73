"""In which order: wiring, the composition root and the command line. No class here is ever checkpointed."""
