"""How the text of an INI file and of the environment becomes checked values, or listed problems.

The kinds of values and the rules for reading, overriding, quoting and hiding live here. Which
sections and keys there are is not known here: `sections` declares them.
"""

import configparser
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

PREFIX = "SPARKIFY_"
NOT_KEYS = {f"{PREFIX}{name}" for name in ("CONFIG", "LIVE_CONFIG", "NO_SKIPS")}
"""The file itself, and what the tests are told."""


@dataclass(frozen=True)
class Given:
    """One value as it was found: where, and the folder that a relative path starts from."""

    text: str
    source: str
    folder: Path


Parser = Callable[[Given], object]  # raises ValueError when the text is not what is expected


class RefusedError(ValueError):
    """Says what is wrong with the value of a secret key, in words that may be shown."""


@dataclass(frozen=True)
class Key:
    """What one key accepts; an absent or empty value means ``otherwise``."""

    parse: Parser
    expected: str
    otherwise: str
    required: bool


def key(
    parse: Parser, expected: str, otherwise: str = "", *, required: bool = False
) -> Mapping[str, Key]:
    """The metadata of a dataclass field that is set by the key of the same name."""
    return {"key": Key(parse, expected, otherwise, required)}


def keys_of(section: type) -> Mapping[str, Key]:
    described = (item for item in fields(section) if "key" in item.metadata)
    return {item.name.upper(): item.metadata["key"] for item in described}


Keys = Mapping[str, Mapping[str, Key]]  # by section and key, both in capitals


def optional(parse: Parser) -> Parser:
    return lambda given: parse(given) if given.text else None


def text(pattern: str) -> Parser:
    compiled = re.compile(pattern, re.ASCII)

    def parse(given: Given) -> str:
        if not compiled.fullmatch(given.text):
            raise ValueError
        return given.text

    return parse


def choice(kind: type[StrEnum]) -> Parser:
    return lambda given: kind(given.text.lower())


def number(kind: type[int] | type[float], low: int, high: int) -> Parser:
    # int() and float() alone also accept "1_0", "nan" and the digits of other scripts.
    digits = text("[0-9]{1,9}" if kind is int else r"[0-9]{0,9}(\.[0-9]{0,18})?(e-?[0-9]{1,2})?")

    def parse(given: Given) -> int | float:
        digits(given)
        value = kind(given.text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def day(given: Given) -> date:
    text("[0-9]{4}-[0-9]{2}-[0-9]{2}")(given)  # fromisoformat alone also accepts 2018-W44-4
    value = date.fromisoformat(given.text)
    if not date(1970, 1, 1) <= value <= date(2199, 12, 31):
        raise ValueError
    return value


def absolute(path: str, folder: Path) -> Path:
    return Path(os.path.normpath(folder / os.path.expanduser(path)))


def local_path(given: Given) -> Path:
    # Two letters or more before the colon: a URI, not a drive of Windows.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/|:memory:", given.text):
        raise ValueError
    return absolute(given.text, given.folder)


def local_file(given: Given) -> Path:
    if given.text.endswith(("/", "/.", "/..")):
        raise ValueError
    return local_path(given)


def lake_folder(given: Given) -> str:
    if re.fullmatch(r"s3://[A-Za-z0-9][A-Za-z0-9._-]*(/.*)?", given.text):
        return given.text
    return str(local_path(given))


def lake_file(given: Given) -> str:
    if re.fullmatch(r"s3://[^/]*|.*/", given.text):  # a bucket or a folder is not one file
        raise ValueError
    return lake_folder(given)


def scratch_folder(given: Given) -> str:
    if not re.fullmatch(r"s3://[A-Za-z0-9][A-Za-z0-9._-]*/[^/].*", given.text):
        raise ValueError  # a whole bucket is not scratch: what is in the prefix gets deleted
    return given.text.rstrip("/")


def certificates(given: Given) -> str:
    return given.text if given.text == "system" else str(local_file(given))


def network(given: Given) -> str:
    import ipaddress

    return str(ipaddress.IPv4Network(given.text))


def yes_or_no(given: Given) -> bool:
    if given.text.lower() not in ("yes", "no"):
        raise ValueError
    return given.text.lower() == "yes"


def is_secret(key: str) -> bool:
    # the URL of a webhook or of a service in NOTIFY is all that its caller needs to know
    return any(word in key for word in ("PASSWORD", "SECRET", "TOKEN", "WEBHOOK", "NOTIFY"))


def shown(value: str) -> str:
    """``value`` for a message, unless it may hold a password: `//user:pw@host`, `?sig=`, …"""
    if re.search(r"@|\?|passw|pwd|secret|token|credential|[\x00-\x1f\x7f]", value, re.IGNORECASE):
        return "(not shown)"
    return repr(value if len(value) <= 80 else value[:77] + "...")


def read_given(
    file: Path,
    content: str,
    environ: Mapping[str, str],
    here: Path,
    keys: Keys,
) -> tuple[dict[tuple[str, str], Given], list[str]]:
    """All values by section and key, those of the environment first, and what is wrong.

    Relative paths start from the folder of ``file``; in the environment from ``here``, because a
    shell user means the shell's folder.
    """
    parser, problems = _parse_ini(content)
    problems = [f"{problem} ({file.name})" for problem in problems]
    for section in parser.sections():
        if section not in keys:
            meant = _meant(section, list(keys))
            problems.append(f"[{_name(section)}] is not a section ({file.name}): {meant}")
    given: dict[tuple[str, str], Given] = {}
    for section, known in keys.items():
        for written, value in parser.items(section) if parser.has_section(section) else ():
            name = written.upper()
            given[section, name] = Given(value, file.name, file.parent)
            if name not in known:
                meant = _meant(name, list(known))
                problems.append(f"[{section}] {_name(name)} is not a key ({file.name}): {meant}")
        prefix = f"{PREFIX}{section}_"
        for variable in sorted(item for item in environ if item.startswith(prefix)):
            name = variable.removeprefix(prefix)
            given[section, name] = Given(environ[variable], variable, here)
            if name not in known:
                meant = _meant(variable, [prefix + item for item in known])
                problems.append(f"[{section}] {_name(name)} is not a key ({variable}): {meant}")
    return given, problems + _unknown_variables(environ, keys)


def _unknown_variables(environ: Mapping[str, str], keys: Keys) -> list[str]:
    """What is wrong with variables that no section explains; tests and shells have some too."""
    known = [f"{PREFIX}{section}_{name}" for section, names in keys.items() for name in names]
    of_sections = tuple(f"{PREFIX}{section}_" for section in keys)
    problems = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        if variable.startswith(of_sections) or variable in NOT_KEYS:
            continue
        meant = _meant(variable, known, f"{PREFIX}<SECTION>_<KEY>")
        problems.append(f"{_name(variable)} is not a key (environment): {meant}")
    return problems


def parse_section(
    section: str, keys: Mapping[str, Key], given: Mapping[tuple[str, str], Given], file: Path
) -> tuple[dict[str, Any], list[str]]:
    """The values of one section by field name, without those that have a problem; the problems."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, key in keys.items():
        item = given.get((section, name), Given("", file.name, file.parent))
        # The environment needs no quotes: a password from there may begin with one, or a blank.
        is_whole = "PASSWORD" in name and item.source.startswith(PREFIX)
        value = item.text if is_whole else _unquoted(item.text.strip())
        problem = _unfit(name, key, value)
        if not problem:
            try:
                values[name.lower()] = key.parse(
                    replace(item, text=value)
                    if value
                    else Given(key.otherwise, file.name, file.parent)
                )
            except RefusedError as error:
                problem = str(error)
            except ValueError:
                problem = "= (not shown)" if is_secret(name) else f"= {shown(value)}"
        if problem:
            problems.append(
                f"[{section}] {name} {problem} ({item.source}): expected {key.expected}"
            )
    return values, problems


def _unfit(name: str, key: Key, value: str) -> str:
    if not value:
        return "is missing or empty" if key.required else ""
    if re.search(r"[\x00-\x1f\x7f]", value):
        return "has a line break (an indented line continues the one above) or control character"
    if not is_secret(name) and re.search("//[^/]*@|//[^@/]*:.*@", value):
        return "has a user or password inside a URI (not shown)"
    return ""


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _name(written: str) -> str:
    """A name that the user wrote, unless it looks like a value that went astray."""
    return written if re.fullmatch(r"[\w. -]{1,60}", written) else "(not shown)"


def _meant(name: str, known: list[str], otherwise: str = "") -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.upper(), known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"expected {otherwise}" if otherwise else f"expected one of {', '.join(known)}"


def _parse_ini(content: str) -> tuple[configparser.ConfigParser, list[str]]:
    """A parser with every line that makes sense; the others are problems, named by their number.

    configparser stops at most mistakes and quotes the line, which may hold a password. So a wrong
    line is blanked and the rest read again, until nothing is wrong.
    """
    lines = content.split("\n")
    mistakes: dict[int, str] = {}
    strict = True
    while True:
        parser = configparser.ConfigParser(
            interpolation=None, strict=strict, default_section="", empty_lines_in_values=False
        )
        wrong: Iterable[int] = ()
        try:
            parser.read_string("\n".join(lines))
        except configparser.MissingSectionHeaderError as error:
            mistakes[error.lineno] = "expected a [SECTION] before the first key"
            end = error.lineno
            while end < len(lines) and not lines[end].startswith("["):
                end += 1
            wrong = range(error.lineno, end + 1)
        except configparser.DuplicateSectionError as error:
            mistakes[error.lineno or 1] = f"[{_name(error.section)}] is repeated"
            strict = False  # from here on, what is repeated replaces or adds
        except configparser.DuplicateOptionError as error:
            wrong = [error.lineno or 1]
            name = _name(error.option.upper())
            mistakes[wrong[0]] = f"[{_name(error.section)}] {name} is repeated"
        except configparser.ParsingError as error:
            wrong = [number for number, _ in error.errors]
            mistakes |= dict.fromkeys(wrong, "expected KEY = value")
        else:
            return parser, [f"line {number}: {mistakes[number]}" for number in sorted(mistakes)]
        for line in wrong:
            lines[line - 1] = ""
