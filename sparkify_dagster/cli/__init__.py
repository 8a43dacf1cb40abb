"""The commands of `sparkify`, one module each, and what only they need.

A module imports nothing heavy when it is loaded: `sparkify --help` loads them all.
"""
