"""The commands, by what they are for. Each module puts its own onto `graphs.cli.root.app`."""
