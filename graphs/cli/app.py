"""The app with all its commands, in the order of the help."""

from graphs.cli.commands import making, looking, releases, upkeep  # noqa: F401, I001 - each puts its commands onto the app
from graphs.cli.root import app

__all__ = ["app"]
