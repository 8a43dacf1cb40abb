"""SQL text as tokens that know their place, and a reader that walks over them.

Strings are Redshift's: a backslash escapes, and E'…' does not exist. No rule about statements
lives here.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from sparkify_dagster_tests.standin.errors import RefusedError, syntax_error

_PATTERN = re.compile(
    r"""
    (?P<space>(?:\s+|--[^\n]*|/\*.*?\*/)+)
  | (?P<string>'(?:[^'\\]|''|\\.)*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
  | (?P<word>[A-Za-z_\u0080-\U0010ffff][\w$]*)
  | (?P<symbol>::|:=|<=|>=|<>|!=|\|\||->>?|\#>>?|@>|<@|&&|\|/|<<|>>|!?~~?\*?
              |[-+*/<>=@\#%^&|?().,;:\[\]$`!{}])
    """,
    re.VERBOSE | re.DOTALL,
)


class Kind(Enum):
    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    SYMBOL = auto()


_KINDS = {kind.name.lower(): kind for kind in Kind}


class Token(NamedTuple):
    """``word`` is what rules compare: upper case for words, "" for what only looks like one."""

    kind: Kind
    text: str
    word: str
    start: int
    end: int
    depth: int

    @property
    def is_name(self) -> bool:
        return self.kind in (Kind.WORD, Kind.QUOTED)

    def is_word(self, *words: str) -> bool:
        return self.kind is Kind.WORD and (not words or self.word in words)

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind is Kind.SYMBOL and self.word in symbols

    @property
    def name(self) -> str:
        """An identifier as the catalogue has it: both kinds are folded to lower case."""
        return self.text.strip('"').replace('""', '"').lower()

    @property
    def value(self) -> str:
        """What a string literal means."""
        return re.sub(r"\\(.)", r"\1", self.text[1:-1].replace("''", "'"), flags=re.DOTALL)


def tokenize(sql: str) -> tuple[Token, ...]:
    """The tokens of one statement, without the semicolon that may end it.

    Raises:
        RefusedError: for what is no token, and for several statements in one text.
    """
    tokens = list(_scan(sql))
    while tokens and tokens[-1].word == ";":
        tokens.pop()
    if any(token.word == ";" for token in tokens):
        raise RefusedError("cannot insert multiple commands into one message")
    return tuple(tokens)


def _scan(sql: str) -> Iterator[Token]:
    position, depth = 0, 0
    while position < len(sql):
        match = _PATTERN.match(sql, position)
        if match is None:
            raise syntax_error(sql[position : position + 20])
        kind, position = match.lastgroup or "", match.end()
        if kind == "space":
            continue
        text = match.group()
        depth -= text == ")"
        compared = text.upper() if kind in ("word", "symbol") else ""
        yield Token(_KINDS[kind], text, compared, match.start(), match.end(), depth)
        depth += text == "("


class Reader:
    """Walks over tokens; what is not as expected is a syntax error there."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def at_end(self) -> bool:
        return self.place >= len(self.tokens)

    def peek(self, ahead: int = 0) -> Token | None:
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def word(self, ahead: int = 0) -> str:
        token = self.peek(ahead)
        return token.word if token else ""

    def error(self) -> RefusedError:
        token = self.peek()
        return syntax_error(token.text if token else "")

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise self.error()
        self.place += 1
        return token

    def accept(self, *words: str) -> bool:
        """Take these words if all of them follow."""
        if any(self.word(i) != word for i, word in enumerate(words)):
            return False
        self.place += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.error()

    def one_of(self, *words: str) -> str:
        """Take one of these words, or nothing."""
        word = self.word()
        if word not in words:
            return ""
        self.place += 1
        return word

    def need_one_of(self, *words: str) -> str:
        found = self.one_of(*words)
        if not found:
            raise self.error()
        return found

    def of_kind(self, kind: Kind) -> Token:
        token = self.peek()
        if token is None or token.kind is not kind:
            raise self.error()
        self.place += 1
        return token

    def name(self) -> str:
        """An identifier, possibly with its schema."""
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        return ".".join(parts)

    def identifier(self) -> str:
        token = self.peek()
        if token is None or not token.is_name:
            raise self.error()
        self.place += 1
        return token.name

    def names(self) -> list[str]:
        found = [self.name()]
        while self.accept(","):
            found.append(self.name())
        return found

    def name_list(self) -> list[str]:
        """Identifiers in parentheses."""
        self.expect("(")
        found = self.names()
        self.expect(")")
        return found

    def group(self) -> tuple[Token, ...]:
        """What stands in the parentheses that open here."""
        opening = self.peek()
        self.expect("(")
        start = self.place
        while not (self.word() == ")" and opening and self.next_depth() == opening.depth):
            self.next()
        self.place += 1
        return self.tokens[start : self.place - 1]

    def next_depth(self) -> int:
        token = self.peek()
        return token.depth if token else -1

    def rest(self) -> tuple[Token, ...]:
        found = self.tokens[self.place :]
        self.place = len(self.tokens)
        return found

    def zone(self) -> bool:
        """WITH or WITHOUT TIME ZONE behind a type; whether it is WITH."""
        if self.accept("WITHOUT", "TIME", "ZONE"):
            return False
        return self.accept("WITH", "TIME", "ZONE")

    def end(self) -> None:
        if not self.at_end:
            raise self.error()
