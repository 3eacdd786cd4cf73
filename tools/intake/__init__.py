"""Reading what a person brings: detection of format and dialect, and refusal of what cannot be worked with."""
