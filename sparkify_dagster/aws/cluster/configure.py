"""The lines of dwh.cfg that make the platform use the new warehouse: shown, or put into the file.

Only the values of those keys change; every comment, other key, line end and the order stay.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sparkify_dagster.aws.cluster.base import ClusterError, Plan, State
from sparkify_dagster.settings import KEYS
from sparkify_dagster.settings.sections import WarehouseKind
from sparkify_dagster.settings.values import PREFIX, Given, read_given

Values = Mapping[str, Mapping[str, str]]  # by section and key


def configuration(plan: Plan, state: State, role_arn: str) -> Values:
    """What dwh.cfg has to say; an empty value takes away what an earlier warehouse left there.

    Raises:
        ClusterError: if AWS does not tell the warehouse's address or secret.
    """
    if not state.host or not state.secret_arn:
        raise ClusterError(
            f"AWS does not tell the address and the secret of {plan.name}, which is {state.status}:"
            " repeat the command when it is available."
        )
    serverless = plan.kind is WarehouseKind.SERVERLESS
    return {
        "WAREHOUSE": {"ENGINE": "redshift"},
        "CLUSTER": {
            "HOST": state.host,
            "DB_NAME": state.db_name,
            "DB_USER": state.db_user,
            "DB_PORT": state.port,
            "LOGIN": "secret",
            "SECRET_ID": state.secret_arn,
            "CLUSTER_IDENTIFIER": "" if serverless else plan.identifier,
            "WORKGROUP": plan.identifier if serverless else "",
        },
        "IAM_ROLE": {"ARN": role_arn},
    }


def configuration_text(values: Values) -> str:
    """As they stand in dwh.cfg."""
    return "\n\n".join(
        "\n".join((f"[{section}]", *(f"{key} = {value}".rstrip() for key, value in keys.items())))
        for section, keys in values.items()
    )


def overridden(values: Values, environ: Mapping[str, str]) -> list[str]:
    """The variables that say otherwise, and win."""
    names = {
        f"{PREFIX}{section}_{key}": value
        for section, keys in values.items()
        for key, value in keys.items()
    }
    return [name for name, value in names.items() if environ.get(name, value) != value]


def write(file: Path, values: Values) -> None:
    """Put the values into the file, whole or not at all.

    Raises:
        ClusterError: if the file cannot be written, or is not understood; it is as it was then.
    """
    target = Path(os.path.realpath(file))  # what a link names is replaced, not the link
    try:
        before = target.read_bytes().decode("utf-8")
        after = edited(before, values)
        _check(after, target, values)
        _replace(target, after)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problem = f"{file} cannot be written: {why}. Set these values in it by hand:"
        raise ClusterError(f"{problem}\n\n{configuration_text(values)}") from error


def edited(content: str, values: Values) -> str:
    """The text of the file with these values; what is missing is added to its section."""
    ending = "\r\n" if "\r\n" in content else "\n"
    lines = content.removeprefix("\ufeff").split(ending)
    mark = "\ufeff" if content.startswith("\ufeff") else ""
    for section, keys in values.items():
        lines = _with_section(lines, section, keys)
    return mark + ending.join(lines)


def _with_section(lines: list[str], section: str, keys: Mapping[str, str]) -> list[str]:
    start = next((n for n, line in enumerate(lines) if line.startswith(f"[{section}]")), None)
    if start is None:
        text = configuration_text({section: keys}).split("\n")
        while lines and not lines[-1].strip():
            lines = lines[:-1]
        return [*lines, *([""] if lines else []), *text, ""]
    end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("[")), len(lines))
    body, missing = lines[start + 1 : end], []
    for key, value in keys.items():
        at = next((n for n, line in enumerate(body) if _key(line) == key), None)
        if at is None:
            missing.append(f"{key} = {value}".rstrip())
        else:
            name = re.split("[=:]", body[at], maxsplit=1)[0].rstrip()
            body[at] = f"{name} = {value}".rstrip()
    last = max((n for n, line in enumerate(body) if line.strip()), default=-1)
    body[last + 1 : last + 1] = missing
    return [*lines[: start + 1], *body, *lines[end:]]


def _key(line: str) -> str:
    """The key that a line sets; empty for a comment and anything else."""
    found = re.match(r"(?![#;\s\[])([^=:]+)[=:]", line)
    return found.group(1).strip().upper() if found else ""


def _check(content: str, file: Path, values: Values) -> None:
    """Read it as the platform will: a file written in an unforeseen way must not be spoilt."""
    text = content.removeprefix("\ufeff").replace("\r\n", "\n")
    given, _ = read_given(file, text, {}, file.parent, KEYS)
    nothing = Given("", "", file.parent)
    for section, keys in values.items():
        for key, value in keys.items():
            if given.get((section, key), nothing).text.strip() != value:
                raise ClusterError(
                    f"{file}: [{section}] {key} is written in a way that cannot be replaced."
                    f" Set these values by hand:\n\n{configuration_text(values)}"
                )


def _replace(target: Path, content: str) -> None:
    mode = target.stat().st_mode
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except OSError:
        os.unlink(name)
        raise
