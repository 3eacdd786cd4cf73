"""What can be done: abilities without any knowledge of graphs. Imports state only."""
