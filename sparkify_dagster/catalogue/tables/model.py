"""Columns, references and tables: frozen, and impossible to build wrong.

What one table can know about itself is checked here; what needs the other tables is checked by the
catalogue. How a file is read is the parser's business, how DDL is written is ``ddl``'s.
"""

from dataclasses import dataclass
from re import compile as compile_pattern

from sparkify_dagster.catalogue.tables.names import TableError, check_identifier

_INTEGERS = frozenset({"SMALLINT", "INTEGER", "BIGINT"})
_FLOATS = frozenset({"REAL", "DOUBLE PRECISION"})
_TYPES = _INTEGERS | _FLOATS | {"BOOLEAN", "DATE", "TIMESTAMP", "DECIMAL", "VARCHAR"}
_TYPE = compile_pattern(r"([A-Z]+(?: PRECISION)?)(?:\((\d+)(?:,(\d+))?\))?")
_VARCHAR_LIMIT = 65535  # bytes, Redshift's largest

# Which types an encoding works on (Redshift refuses the statement otherwise, only when it runs).
_ENCODINGS = {
    "raw": _TYPES,
    "zstd": _TYPES,
    "runlength": _TYPES,
    "bytedict": _TYPES - {"BOOLEAN"},
    "lzo": _TYPES - {"BOOLEAN"} - _FLOATS,
    "az64": _INTEGERS | {"DECIMAL", "DATE", "TIMESTAMP"},
}
_DIST_STYLES = ("AUTO", "EVEN", "ALL", "KEY")
JSON_STYLES = ("camelCase", "snake_case")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    ``platform`` marks a column of a JSON table that the platform fills itself, ``personal`` one
    that says who a person is: it is emptied when they are forgotten, and not shown in previews.
    Without ``encode`` Redshift chooses the encoding. ``accepted`` are the values that a column
    should have: another one is warned about, or, where ``only_accepted``, its line is no row.
    """

    name: str
    type: str
    nullable: bool
    description: str
    accepted: tuple[str, ...] = ()
    only_accepted: bool = False
    encode: str | None = None
    platform: bool = False
    personal: bool = False

    def __post_init__(self) -> None:
        check_identifier(self.name, "column")
        self._check_type()
        if not self.description:
            raise TableError(f"column {self.name!r} has no description: say what it holds")
        if self.encode and self.base_type not in _ENCODINGS.get(self.encode, frozenset()):
            fitting = ", ".join(
                name for name, types in _ENCODINGS.items() if self.base_type in types
            )
            raise TableError(
                f"column {self.name!r}: encoding {self.encode!r} does not work for {self.type}; "
                f"use one of: {fitting}"
            )
        if self.accepted and not self.is_text:
            raise TableError(
                f"column {self.name!r}: only a VARCHAR column can list accepted values"
            )
        if "" in self.accepted or len(set(self.accepted)) < len(self.accepted):
            raise TableError(f"column {self.name!r}: an accepted value is empty or listed twice")

    def _check_type(self) -> None:
        match = _TYPE.fullmatch(self.type)
        if not match or match[1] not in _TYPES:
            raise TableError(
                f"column {self.name!r} has the unknown type {self.type}; use one of: "
                + ", ".join(sorted(_TYPES - {"VARCHAR", "DECIMAL"}))
                + ", DECIMAL(p,s), VARCHAR(n)"
            )
        base, first, second = match.groups()
        fits = {
            "VARCHAR": second is None and 1 <= int(first or 0) <= _VARCHAR_LIMIT,
            "DECIMAL": second is not None and int(second) <= int(first or 0) <= 38,
        }.get(base, first is None)
        if not fits:
            raise TableError(
                f"column {self.name!r}: {self.type} is not a usable size; write VARCHAR(n) with n "
                f"from 1 to {_VARCHAR_LIMIT} bytes, DECIMAL(p,s) with p up to 38, other types bare"
            )

    @property
    def base_type(self) -> str:
        """The type without its size, such as VARCHAR."""
        return self.type.partition("(")[0]

    @property
    def length(self) -> int | None:
        """The most bytes that a VARCHAR may have; None for every other type."""
        return int(self.type.partition("(")[2].rstrip(")")) if self.is_text else None

    @property
    def is_text(self) -> bool:
        return self.base_type == "VARCHAR"

    @property
    def is_integer(self) -> bool:
        return self.base_type in _INTEGERS

    @property
    def is_float(self) -> bool:
        return self.base_type in _FLOATS


@dataclass(frozen=True, slots=True)
class Reference:
    """Every value of ``columns`` that is not NULL is found in ``parent_columns`` of ``table``."""

    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.columns) != len(self.parent_columns):
            raise TableError(
                f"the reference to {self.table!r} names {len(self.columns)} columns here "
                f"and {len(self.parent_columns)} there: name as many on both sides"
            )


@dataclass(frozen=True, slots=True)
class Table:
    """One table, as its file says it.

    ``json_style`` is set where rows come from JSON. ``indexes`` are columns by which parts of the
    table are looked up, beside its sort key. ``person`` is the column that says whose row it is.
    """

    name: str
    description: str
    grain: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    references: tuple[Reference, ...]
    dist_style: str
    dist_key: str | None
    sort_key: tuple[str, ...]
    indexes: tuple[str, ...]
    json_style: str | None
    source_text: str
    person: str | None = None

    def __post_init__(self) -> None:
        check_identifier(self.name, "table")
        if not self.description:
            raise TableError("the header says no purpose: begin the file with `-- What it is for.`")
        if not self.grain.startswith("one "):
            raise TableError("the header says no grain: add a line `-- grain: one …`")
        self._check_columns()
        self._check_distribution()
        self._check_json()
        self._check_person()

    def _check_columns(self) -> None:
        names = self.column_names
        if not names:
            raise TableError(f"table {self.name!r} has no columns")
        self._check_distinct("column list", names)
        self._check_key("PRIMARY KEY", self.primary_key)
        self._check_key("SORTKEY", self.sort_key)
        self._check_key("`-- index:`", self.indexes)
        self._check_key("DISTKEY", (self.dist_key,) if self.dist_key else ())
        for reference in self.references:
            self._check_key("FOREIGN KEY", reference.columns)
        for key in self.primary_key:
            if self.column(key).nullable:
                raise TableError(f"column {key!r} is in the PRIMARY KEY: declare it NOT NULL")

    def _check_key(self, what: str, key: tuple[str, ...]) -> None:
        self._check_distinct(what, key)
        for name in key:
            if name not in self.column_names:
                raise TableError(f"{what} names {name!r}, which is not a column of {self.name!r}")

    def _check_distinct(self, what: str, names: tuple[str, ...]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise TableError(f"{what} of table {self.name!r} names {name!r} twice")

    def _check_distribution(self) -> None:
        if self.dist_style not in _DIST_STYLES:
            raise TableError(
                f"DISTSTYLE {self.dist_style} is unknown: use one of {', '.join(_DIST_STYLES)}"
            )
        if (self.dist_style == "KEY") != (self.dist_key is not None):
            raise TableError("DISTSTYLE KEY and DISTKEY (column) go together: write both or none")

    def _check_json(self) -> None:
        if self.json_style is not None and self.json_style not in JSON_STYLES:
            raise TableError(
                f"`-- json: {self.json_style}` is unknown: use one of {', '.join(JSON_STYLES)}"
            )
        for column in self.columns:
            if column.platform and self.json_style is None:
                raise TableError(
                    f"column {column.name!r} is marked (platform), but the header has no "
                    "`-- json:` line: add it, or drop the mark"
                )
        for column, _ in self.json_columns:
            if not (column.is_text or column.is_integer or column.is_float):
                raise TableError(
                    f"column {column.name!r} comes from JSON and is {column.type}: make it "
                    "VARCHAR, an integer or a float, or mark it (platform)"
                )
        self._check_distinct("the JSON keys", tuple(key for _, key in self.json_columns))

    def _check_person(self) -> None:
        if self.personal and self.person is None:
            raise TableError(
                f"column {self.personal[0]!r} is marked (personal), but nothing says whose it is: "
                "add a line `-- person: column` to the header"
            )
        if self.person is None:
            return
        self._check_key("`-- person:`", (self.person,))
        if not self.column(self.person).is_integer:
            raise TableError(f"column {self.person!r} tells persons apart: make it a whole number")
        for name in self.personal:
            if not self.column(name).nullable or name == self.person:
                raise TableError(
                    f"column {name!r} is marked (personal) and cannot be emptied: allow NULL, and "
                    "let another column say whose row it is"
                )

    @property
    def personal(self) -> tuple[str, ...]:
        """The columns that are emptied when the person of a row is forgotten."""
        return tuple(column.name for column in self.columns if column.personal)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise TableError(f"table {self.name!r} has no column {name!r}")

    @property
    def json_columns(self) -> tuple[tuple[Column, str], ...]:
        """The columns that come from JSON with their keys, in order; () for other tables."""
        if self.json_style is None:
            return ()
        return tuple(
            (column, _json_key(column.name, self.json_style))
            for column in self.columns
            if not column.platform
        )


def _json_key(name: str, style: str) -> str:
    """first_name is sent as firstName in camelCase and as first_name in snake_case."""
    if style == "snake_case":
        return name
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
