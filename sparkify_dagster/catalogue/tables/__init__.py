"""The tables of the warehouse as frozen data, read from ``sql/tables``.

One annotated Redshift CREATE TABLE file says a table's meaning, columns and keys; everything else
(DDL for each engine, UI schema, key and reference checks, diagrams) is derived from these objects.
Nothing here connects to a warehouse or knows how a table is filled.
"""

from sparkify_dagster.catalogue.tables.model import Column, Reference, Table
from sparkify_dagster.catalogue.tables.names import TableError, check_identifier
from sparkify_dagster.catalogue.tables.table_set import TABLES_FOLDER, load_tables

__all__ = [
    "TABLES_FOLDER",
    "Column",
    "Reference",
    "Table",
    "TableError",
    "check_identifier",
    "load_tables",
]
