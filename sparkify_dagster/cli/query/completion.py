"""What completes a word of SQL at the prompt: tables, columns and SQL's own words.

From the table files, not from the warehouse: completing opens no connection.
"""

import re
from collections.abc import Iterator, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from sparkify_dagster.catalogue.catalogue import Catalogue

# Those that all engines share.
_SHARED = """
    ALL AND AS ASC AVG BETWEEN BY CASE CAST COALESCE COUNT CROSS DATE DATE_TRUNC DESC DISTINCT
    DOUBLE ELSE END EXCEPT EXISTS EXPLAIN EXTRACT FALSE FIRST FROM FULL GROUP HAVING HOUR IN INNER
    INTERSECT INTERVAL IS JOIN LAG LAST LEAD LEFT LENGTH LIKE LIMIT LOWER MAX MIN MONTH NOT NULL
    NULLIF NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PRECEDING PRECISION RANK RIGHT ROUND
    ROW_NUMBER ROWS SELECT SUBSTRING SUM THEN TIMESTAMP TRUE UNBOUNDED UNION UPPER USING VARCHAR
    WHEN WHERE WITH YEAR
"""
_WORDS = tuple(_SHARED.split())
_TYPED = re.compile(r"(?:(?P<of>\w+)\.)?(?P<word>\\?\w*)$")
_WORD = re.compile(r"\w+")
_AFTER_FROM = re.compile(r"\b(?:FROM|JOIN)\s+$", re.IGNORECASE)


class SqlCompleter(Completer):
    """Behind FROM and JOIN tables, behind a table and a point its columns, else what may follow."""

    def __init__(self, catalogue: Catalogue, commands: Sequence[str]) -> None:
        self._commands = commands
        self._tables = {
            name: _first_line(catalogue.tables[name].description)
            for name in sorted(catalogue.tables)
        }
        self._columns = {
            name: {column.name: _first_line(column.description) for column in table.columns}
            for name, table in catalogue.tables.items()
        }

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        before = document.text_before_cursor
        typed = _TYPED.search(before)
        assert typed is not None  # it matches nothing, too
        word = typed["word"]
        seen = {word}
        found = self._candidates(before[: typed.start()], document.text, typed["of"])
        for name, meaning in found:
            text = name.lower() if word.islower() else name
            if text.lower().startswith(word.lower()) and text not in seen:
                seen.add(text)
                yield Completion(text, start_position=-len(word), display_meta=meaning)

    def _candidates(self, before: str, text: str, of: str | None) -> Iterator[tuple[str, str]]:
        """What may stand behind `before`, with its meaning."""
        if of is not None:
            yield from self._columns.get(self._table_called(of, text), {}).items()
        elif _AFTER_FROM.search(before):
            yield from self._tables.items()
        elif not before.strip():
            yield from self._tables.items()
            yield from ((text, "") for text in (*_WORDS, *self._commands))
        else:
            named = [name for name in _WORD.findall(text.lower()) if name in self._columns]
            for table in dict.fromkeys(named or self._columns):
                yield from self._columns[table].items()
            yield from self._tables.items()
            yield from ((text, "") for text in _WORDS)

    def _table_called(self, name: str, text: str) -> str:
        """The table that a name means in a statement: itself, or the one whose alias it is."""
        for table in self._columns:
            if re.search(rf"\b{table}\s+(?:AS\s+)?{re.escape(name)}\b", text, re.IGNORECASE):
                return table
        return name.lower()


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
