"""Measurements of whole `sparkify run` processes; `make bench` runs them all."""
