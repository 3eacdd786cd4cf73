"""Hostile programs: what generated code might try, each shown to work before it is shown to be stopped."""
