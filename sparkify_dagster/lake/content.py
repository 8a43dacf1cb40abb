"""What a file is, if it is not JSON lines: said once for the file, not for each of its lines.

Only what is certain from the beginning of the decoded content is said; lines that are merely bad
are not looked at here, nor is what a good line holds.
"""

from __future__ import annotations

import json

HEAD = 1 << 20
"""Bytes at the beginning that a judgement is made from."""
_BOM = b"\xef\xbb\xbf"
_REPACK = "unpack it, or compress it with gzip or zstd"
_PACKED = (
    (b"\x1f\x8b", "compressed by gzip twice: unpack it once"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd, which its name does not say: let it end in .zst"),
    (b"BZh", f"compressed by bzip2: {_REPACK}"),
    (b"\xfd7zXZ\0", f"compressed by xz: {_REPACK}"),
    (b"PK\x03\x04", f"a zip archive: {_REPACK}"),
    (b"PAR1", "a Parquet file: export it as JSON, one object a line"),
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")
_LINES = "write each object on a line of its own"
_MARKS = "text with byte order marks inside, as of files that were joined: remove the marks"


def not_json_lines(head: bytes, *, whole: bool) -> str:
    """What a file that begins so is, and what to do; empty where it may be JSON lines.

    `whole` says that there is no more of it.
    """
    text = head.removeprefix(_BOM)
    first = text[: text.find(b"\n") + 1 or len(text)].strip()
    if first.startswith(b"{") and first.endswith(b"}") and b"\0" not in first:
        return _MARKS if _BOM in text[:HEAD] and _mostly(_BOM, text[:HEAD]) else ""
    for sign, said in _PACKED:
        if text.startswith(sign):
            return said
    if head.startswith(_UTF_16):
        return "text in UTF-16: save it as UTF-8"
    return _of_text(text[:HEAD], whole=whole and len(text) <= HEAD)


def _of_text(text: bytes, *, whole: bool) -> str:
    begin = text.lstrip()
    small = begin[:100].lower()
    if small.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML), perhaps an error or a login: fetch the file itself again"
    if small.startswith(b"<?xml"):
        return "an XML document: export it as JSON, one object a line"
    if begin.startswith(_BOM) and _mostly(_BOM, text):
        return _MARKS
    if begin.startswith(b"\x1e") and _mostly(b"\x1e", text):
        return (
            "a JSON text sequence, whose records begin with the control character RS:"
            " remove these characters, and write each record on a line of its own"
        )
    decoded = begin.decode("utf-8", "replace")
    if begin.startswith(b"[") and _is_array(decoded, whole=whole):
        return f"one JSON array: {_LINES}, without the array around them"
    if begin.startswith(b"{") and _is_spread(decoded, whole=whole):
        return f"of JSON objects that are spread over several lines: {_LINES}"
    return ""


def _mostly(sign: bytes, text: bytes) -> bool:
    """Whether most lines begin so."""
    lines = [line for line in text.split(b"\n") if line.strip()]
    return 2 * sum(line.startswith(sign) for line in lines) > len(lines)


def _is_array(text: str, *, whole: bool) -> bool:
    """Whether an array of objects is all that there is, or begins and goes on to the end."""
    end = _end_of_value(text, 0)
    if end is not None:
        return whole and not text[end:].strip() and "{" in text
    start = 1 + _blanks(text, 1)
    first = _end_of_value(text, start) if text[start : start + 1] == "{" else None
    return first is not None and text[first:].lstrip()[:1] == ","


def _is_spread(text: str, *, whole: bool) -> bool:
    """Whether each of the first objects, or the only one, ends on another line than it begins."""
    start, spread = 0, 0
    while spread < 3 and start < len(text):
        end = _end_of_value(text, start) if text[start] == "{" else None
        if end is None:
            break
        if "\n" not in text[start:end]:
            return False
        spread += 1
        start = end + _blanks(text, end)
    return spread > 1 or (spread == 1 and whole and start == len(text))


def _end_of_value(text: str, start: int) -> int | None:
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _blanks(text: str, start: int) -> int:
    return len(text[start:]) - len(text[start:].lstrip())
