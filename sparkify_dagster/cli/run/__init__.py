"""The command `sparkify run`."""
