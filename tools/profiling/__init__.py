"""What the data is: profile of columns, target, groups and time."""
