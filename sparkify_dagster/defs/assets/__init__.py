"""The assets, made from the tables, sources and transforms that the catalogue declares.

A table that is added as SQL files is an asset without a line here.
"""
