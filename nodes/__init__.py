"""Who does it: one agent role a file. Nodes import state and tools, never each other."""
