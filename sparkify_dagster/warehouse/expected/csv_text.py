"""CSV as RFC 4180 and `sparkify query --format csv` write it, with what Python's csv module drops.

NULL (nothing between two commas) is not an empty text (`""`), and every row knows its line. What
the cells mean is in `csv_values`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

Cell = str | None
Line = tuple[int, tuple[Cell, ...]]
"""The number of the line on which a row begins, and its cells."""

_CELL = re.compile(r'"(?P<quoted>[^"]*+(?:""[^"]*+)*+)"|(?P<bare>[^",\r\n][^,\r\n]*)?')
_END = re.compile(r"\r\n|\n|\r")


class CsvError(Exception):
    """A text that is not CSV; `str(error)` says where and why."""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        CsvError: if it cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise CsvError(f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CsvError(f"line {line}: it is not UTF-8 text; save it as UTF-8") from error


def rows(text: str, line: int = 1) -> Iterator[Line]:
    """The rows of a text whose first line has the number `line`. An empty line is one of NULL.

    Raises:
        CsvError: naming the line, where a quote is not closed or something follows a closed one.
    """
    place = 0
    while place < len(text):
        begin, cells = line, list[Cell]()
        while True:
            cell = _CELL.match(text, place)
            if cell is None or (not cell[0] and text.startswith('"', place)):
                raise CsvError(f"line {line}: a quote is opened and never closed")
            place, quoted = cell.end(), cell["quoted"]
            line += len(_END.findall(quoted)) if quoted else 0
            cells.append(cell["bare"] if quoted is None else quoted.replace('""', '"'))
            if text[place : place + 1] != ",":
                break
            place += 1
        end = _END.match(text, place)
        if end is None and place < len(text):
            raise CsvError(
                f"line {line}: something follows a closed quote; write a quote inside a value"
                " twice, and the value between quotes"
            )
        place = end.end() if end else place
        line += 1
        yield begin, tuple(cells)
