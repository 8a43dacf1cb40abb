"""One statement as the grammar gate sees it: its tokens without comments, and what sqlfluff says.

Literals, quoted names and comments are told apart here, so that no rule is triggered by text in
them. Which tokens are refused is not known here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from sqlfluff.core import FluffConfig, Linter

_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/"
_PARAMETER = re.compile(rf"({_QUOTED})|(?<![:\w]):([a-z_]+)\b", re.DOTALL)
_NUMBER_EXPECTED = re.compile(r"\b(?:LIMIT|OFFSET|MAXERROR)\s*$", re.IGNORECASE)
_TEXT = {
    "manifest": "'s3://bucket/scratch/manifest'",
    "jsonpaths": "'s3://bucket/jsonpaths.json'",
    "role": "'arn:aws:iam::123456789012:role/reader'",
    "region": "'us-west-2'",
}
_ANY_TEXT = "'2018-11-15'"  # a day as well


class Kind(Enum):
    WORD = "word"
    NAME = "quoted name"
    LITERAL = "literal"
    NUMBER = "number"
    SYMBOL = "symbol"


@dataclass(frozen=True)
class Token:
    """A word is told in capitals, everything else as written. Brackets count as inside."""

    text: str
    kind: Kind
    depth: int

    def is_word(self, *words: str) -> bool:
        return self.kind is Kind.WORD and (not words or self.text in words)

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind is Kind.SYMBOL and self.text in symbols

    @property
    def is_named(self) -> bool:
        """Whether it can be the name of something."""
        return self.kind in (Kind.WORD, Kind.NAME)


class Statement:
    """The tokens of one statement; an index past either end is an empty symbol."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Token:
        if 0 <= index < len(self.tokens):
            return self.tokens[index]
        return Token("", Kind.SYMBOL, 0)

    def begins(self, *words: str) -> bool:
        return self.follows(0, *words)

    def follows(self, index: int, *words: str) -> bool:
        """Whether these words, or symbols, stand from `index` on."""
        return all(
            (token := self[index + i]).text == word and token.kind in (Kind.WORD, Kind.SYMBOL)
            for i, word in enumerate(words)
        )

    def places(self, *words: str, start: int = 0) -> Iterator[int]:
        """The indexes at which these words begin."""
        return (i for i in range(start, len(self.tokens)) if self.follows(i, *words))

    def has(self, *words: str) -> bool:
        return any(True for _ in self.places(*words))

    def closing(self, opening: int) -> int:
        """The index of the bracket that closes the one at `opening`; the end if none does."""
        depth = self[opening].depth
        for i in range(opening + 1, len(self.tokens)):
            if self[i].depth == depth and self[i].is_symbol(")", "]"):
                return i
        return len(self.tokens)

    def inside(self, opening: int) -> list[Token]:
        return self.tokens[opening + 1 : self.closing(opening)]

    def calls(self, *functions: str) -> Iterator[int]:
        """The indexes of the names of called functions; all of them where none is asked for."""
        for i, token in enumerate(self.tokens):
            if not token.is_word(*functions) or not self[i + 1].is_symbol("("):
                continue
            # `INSERT INTO format (a, b)` names a table with its columns.
            if not self[i - 1].is_word("INTO", "TABLE", "EXISTS", "REFERENCES", "COPY", "KEY"):
                yield i

    def after_name(self, index: int) -> int:
        """The index after the name at `index`, which a schema may precede."""
        index += 1
        while self[index].is_symbol("."):
            index += 2
        return index


def arguments(tokens: list[Token]) -> list[list[Token]]:
    """What stands between the commas of a call's brackets."""
    if not tokens:
        return []
    depth, found = tokens[0].depth, list[list[Token]]([[]])
    for token in tokens:
        if token.is_symbol(",") and token.depth == depth:
            found.append([])
        else:
            found[-1].append(token)
    return found


def bound(statement: str) -> str:
    """The statement with a literal for every `:name`, which psycopg2 puts there on our side."""

    def literal(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        number = _NUMBER_EXPECTED.search(statement[: match.start()])
        return "1" if number else _TEXT.get(match[2], _ANY_TEXT)

    return _PARAMETER.sub(literal, statement)


def read(statement: str) -> tuple[list[Statement], list[str]]:
    """The statements in a text (one, if all is well), and what sqlfluff cannot parse of it."""
    parsed = _linter().parse_string(statement)
    variant = parsed.root_variant()
    tree = variant.tree if variant else None
    if tree is None:
        return [], [f"sqlfluff: {violation.desc()}" for violation in parsed.violations]
    found: list[list[Token]] = [[]]
    depth = 0
    for raw in (segment.raw for segment in tree.raw_segments if segment.is_code):
        if raw == ";" and depth == 0:
            found.append([])
            continue
        depth -= raw in (")", "]")
        found[-1].append(Token(*_kind(raw), depth))
        depth += raw in ("(", "[")
    unparsable = [
        f"sqlfluff's redshift dialect does not parse: {' '.join(segment.raw.split())[:100]}"
        for segment in tree.iter_unparsables()
    ]
    return [Statement(_joined(tokens)) for tokens in found if tokens], unparsable


def _kind(raw: str) -> tuple[str, Kind]:
    if raw.startswith('"'):
        return raw, Kind.NAME
    if raw.startswith(("'", "$")) or raw[1:2] == "'":
        return raw, Kind.LITERAL
    if raw[0].isdigit() or (raw[0] == "." and raw[1:].isdigit()):
        return raw, Kind.NUMBER
    if raw[0].isalpha() or raw[0] == "_":
        return raw.upper(), Kind.WORD
    return raw, Kind.SYMBOL


def _joined(tokens: list[Token]) -> list[Token]:
    """`<` and `=` come apart from the lexer, although they were written as one sign."""
    joined: list[Token] = []
    for token in tokens:
        before = joined[-1] if joined else None
        if before and before.text + token.text in {"<=", ">=", "<>", "!=", "||"}:
            joined[-1] = Token(before.text + token.text, Kind.SYMBOL, token.depth)
        else:
            joined.append(token)
    return joined


@cache
def _linter() -> Linter:
    # Without the user's own configuration, and without templates: `{{` is no part of our SQL.
    config = FluffConfig(
        overrides={"dialect": "redshift", "templater": "raw"}, ignore_local_config=True
    )
    return Linter(config=config)
