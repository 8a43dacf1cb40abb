"""A file of JSON as COPY reads it: root values one after another, with the line each ends on.

Values keep the numbers as they were written. Nothing is known here about columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

LARGEST_OBJECT = 4 * 1024 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")


class Number(str):
    """A JSON number, as written."""

    __slots__ = ()


Json: TypeAlias = "dict[str, Json] | list[Json] | Number | str | bool | None"


@dataclass(frozen=True)
class Malformed:
    """Where the stream is no JSON, or not what COPY takes."""

    reason: str


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_no_constant)


def roots(data: bytes, *, resume: bool) -> Iterator[tuple[int, Json | Malformed]]:
    """The root values of a file with their line numbers, from 1.

    Behind something malformed, reading resumes on the line after the one where it began; without
    ``resume`` the rest of the file is given up. Which of both Redshift does is not documented.
    Bytes that are not UTF-8 come as lone surrogates.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    is_ascii = text.isascii()
    place, line, counted = 0, 1, 0
    while (place := _past_space(text, place)) < len(text):
        line += text.count("\n", counted, place)
        counted = place
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            yield line, Malformed("Invalid JSON object")
            newline = text.find("\n", place)
            if not resume or newline < 0:
                return
            place = newline
            continue
        size = end - place
        if size * 4 > LARGEST_OBJECT and not is_ascii:
            size = len(text[place:end].encode("utf-8", "surrogateescape"))
        line += text.count("\n", counted, end)
        place = counted = end
        if size > LARGEST_OBJECT:
            yield line, Malformed("JSON object exceeds the maximum size of 4194304 bytes")
        elif isinstance(value, dict | list):
            yield line, value
        else:
            yield line, Malformed("Invalid JSON object: a root is an object or an array")


def _past_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def as_text(value: Json) -> str:
    """A value as a VARCHAR column gets it: text as it is, everything else as JSON."""
    if isinstance(value, str):  # a Number among them
        return value
    return _dumped(value)


def _dumped(value: Json) -> str:
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        inside = (f"{json.dumps(k, ensure_ascii=False)}:{_dumped(v)}" for k, v in value.items())
        return f"{{{','.join(inside)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_dumped, value))}]"
    return json.dumps(value, ensure_ascii=False)
