"""Sensors: runs for new files of the lake, and alerts for runs and checks that failed."""
