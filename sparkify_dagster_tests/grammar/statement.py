"""One statement as the rules of the grammar gate see it: tokens, and questions about them.

The tokens are those of Redshift's stand-in: literals, quoted names and comments are told apart
there, so that no rule is triggered by text in them. Which tokens are refused is for the rules.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from sparkify_dagster_tests.standin.tokens import Kind, Token, tokenize

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
_NOTHING = Token(Kind.SYMBOL, "", "", 0, 0, 0)


class Statement:
    """The tokens of one statement; an index past either end is an empty symbol.

    Raises:
        RefusedError: for what is no token, and for several statements in one text.
    """

    def __init__(self, text: str) -> None:
        self.tokens: Sequence[Token] = tokenize(text)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Token:
        return self.tokens[index] if 0 <= index < len(self.tokens) else _NOTHING

    def begins(self, *words: str) -> bool:
        return self.follows(0, *words)

    def follows(self, index: int, *words: str) -> bool:
        """Whether these words, or symbols, stand from `index` on."""
        return all(self[index + i].word == word for i, word in enumerate(words))

    def places(self, *words: str) -> Iterator[int]:
        """The indexes at which these words begin."""
        return (i for i in range(len(self.tokens)) if self.follows(i, *words))

    def has(self, *words: str) -> bool:
        return any(True for _ in self.places(*words))

    def inside(self, opening: int) -> Sequence[Token]:
        """What stands in the brackets that open at `opening`."""
        depth = self[opening].depth
        for i in range(opening + 1, len(self.tokens)):
            if self[i].depth == depth and self[i].is_symbol(")"):
                return self.tokens[opening + 1 : i]
        return self.tokens[opening + 1 :]

    def calls(self, *functions: str) -> Iterator[int]:
        """The indexes of the names of called functions."""
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


Rule = Callable[[Statement], Iterator[str]]


def arguments(tokens: Sequence[Token]) -> list[list[Token]]:
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
