"""Dagster's private names stand in one file, and the installed Dagster still has each of them.

Names and reasons are read from the source of `dagster_private`, and no other module of the package
is imported: what a new Dagster moved is said here also where nothing else can be imported any more
(`pytest --noconftest`, as `make test-newest` does first).
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Collection
from importlib import import_module, metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple, get_args

import pytest

PACKAGE = Path(__file__).parents[2] / "sparkify_dagster"
HOME = PACKAGE / "defs" / "dagster_private.py"
SOURCE = HOME.read_text(encoding="utf-8")
_REASON = re.compile(r"To (.+)\. \((\d+\.\d+\.\d+)\)")
_PRIVATE = re.compile(
    r"\b(dagster\w*|dg)\._[a-z]"  # a module of Dagster, or a name in a string
    r"|\bdagster_shared\b"  # a distribution for Dagster's own use
    r"|^\s*from dagster\w* import .*\b_[a-z]"
)


class Name(NamedTuple):
    """A name that `dagster_private` imports, and the comment above it."""

    module: str
    name: str
    comment: str

    @property
    def needed_to(self) -> str:
        said = _REASON.fullmatch(self.comment)
        assert said, f"{self.name}: the comment above it must be like 'To ...: .... (1.13.27)'"
        return said[1]


def _names() -> list[Name]:
    lines = SOURCE.splitlines()
    return [
        Name(node.module or "", alias.name, _comment_above(lines, alias.lineno))
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster")
        for alias in node.names
    ]


def _comment_above(lines: list[str], number: int) -> str:
    said: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        said.insert(0, line.strip(" #"))
    return " ".join(said)


NAMES = _names()


def find(name: Name) -> Any:
    """What Dagster has by this name; None if it is gone, alone or with its module."""
    try:
        module = import_module(name.module)
    except ModuleNotFoundError as error:
        if f"{name.module}.".startswith(f"{error.name}."):
            return None
        raise  # it is there, and misses something else
    return getattr(module, name.name, None)


def trouble_with(name: Name, use: Callable[[Any], object]) -> str:
    """What the installed Dagster moved or changed, in a sentence; nothing if it did neither."""
    dagster = f"dagster {metadata.version('dagster')}"
    place = f"{name.module}.{name.name}"
    found = find(name)
    if found is None:
        return (
            f"{dagster} no longer has {place}, which sparkify needs to {name.needed_to}. Find its"
            " new place, and correct sparkify_dagster/defs/dagster_private.py."
        )
    try:
        use(found)
    except Exception as error:  # noqa: BLE001 - whatever a changed name answers
        return (
            f"{dagster} has changed {place} ({error}), which sparkify needs to {name.needed_to}."
            " Correct what uses it."
        )
    return ""


def as_type(_: object) -> None:
    """It stands in annotations: mypy knows the rest."""


def has(*members: str) -> Callable[[Any], None]:
    """It has these members, or items."""

    def use(found: Any) -> None:
        for member in members:
            if not hasattr(found, member):
                raise AttributeError(f"it has no {member}")

    return use


def holds(*members: str) -> Callable[[Collection[Any]], None]:
    """A collection of an enumeration's members, these among them."""

    def use(found: Collection[Any]) -> None:
        missing = {*members} - {member.name for member in found}
        if missing:
            raise LookupError(f"it lacks {', '.join(sorted(missing))}")

    return use


def columns(*names: str) -> Callable[[Any], None]:
    def use(found: Any) -> None:
        missing = {*names} - {*found.columns.keys()}
        if missing:
            raise LookupError(f"it lacks the columns {', '.join(sorted(missing))}")

    return use


def takes(function: Callable[..., object], *passed: str, **named: object) -> None:
    """It can be called with so many arguments, and these by name."""
    try:
        inspect.signature(function).bind(*passed, **named)
    except TypeError as error:
        raise TypeError(f"{function.__name__}: {error}") from error


def is_overridden(function: Callable[..., object], *parameters: str) -> None:
    """It has exactly these parameters, for Dagster may pass any that it has."""
    found = [name for name in inspect.signature(function).parameters if name != "self"]
    if found != [*parameters]:
        raise TypeError(f"{function.__name__} now takes {', '.join(found) or 'nothing'}")


def _use_instance_ref(found: Any) -> None:
    takes(found.from_dir, "base_dir", overrides={})
    takes(found.config_defaults, "base_dir")


def _use_event_log(found: Any) -> None:
    is_overridden(found.__init__, "base_dir", "inst_data")
    is_overridden(found.from_config_value, "inst_data", "config_value")
    is_overridden(found.store_event_batch, "events")
    is_overridden(found.has_table, "table_name")
    is_overridden(found.watch, "run_id", "cursor", "callback")
    is_overridden(found.end_watch, "run_id", "handler")
    is_overridden(found.wipe)
    is_overridden(found.dispose)
    is_overridden(found._connect, "shard")
    is_overridden(found._has_asset_key_col_on_connection, "conn", "column_name")
    takes(found.store_event, "self", "event")
    takes(found.run_connection, "self", "run_id")
    takes(found.index_connection, "self")
    takes(found.conn_string_for_shard, "self", "shard_name")
    takes(found._initdb, "self", "engine")
    takes(found._event_to_row, "self", "event")
    takes(found._store_asset_event, "self", "conn", "event", "event_id")
    takes(found._store_asset_event_tags, "self", "conn", "events", "event_ids")
    with TemporaryDirectory() as folder:
        has("_base_dir", "_initialized_dbs")(found(folder))


def _use_storage(found: Any) -> None:
    is_overridden(found.__init__, "base_dir", "inst_data")
    is_overridden(found.from_config_value, "inst_data", "config_value")
    takes(found.from_local, "base_dir", "inst_data")
    with TemporaryDirectory() as folder:
        has("_event_log_storage")(found(folder))


def _use_watchdog(found: Any) -> None:
    takes(found.__init__, "self", "event_log_storage", "run_id", "callback", "cursor")
    is_overridden(found.on_modified, "event")
    takes(found._process_log, "self")
    (event_log,) = [name for name in NAMES if name.name == "SqliteEventLogStorage"]
    with TemporaryDirectory() as folder:
        made = found(find(event_log)(folder), "run", print, None)
        has("_log_path", "_patterns")(made)


USES: dict[str, Callable[[Any], object]] = {
    "ASSET_CHECK_EVENTS": holds("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED"),
    "ASSET_EVENTS": holds("ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION_PLANNED"),
    "COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES": holds("SUCCEEDED", "FAILED"),
    "AssetCheckEvaluationPlanned": lambda it: has("asset_key", "check_name", "partitions_subset")(
        it(asset_key=import_module("dagster").AssetKey("a"), check_name="c")
    ),
    "AssetCheckEvaluationTargetMaterializationData": lambda it: has("storage_id")(
        it(storage_id=1, run_id="r", timestamp=0.0)
    ),
    "AssetCheckExecutionRecordStatus": has("PLANNED", "SUCCEEDED", "FAILED"),
    "AssetCheckExecutionsTable": columns(
        *("id", "asset_key", "check_name", "partition", "run_id", "execution_status"),
        *("evaluation_event", "evaluation_event_timestamp", "evaluation_event_storage_id"),
        "materialization_event_storage_id",
    ),
    "CheckError": lambda it: issubclass(it, Exception) or pytest.fail("it is no exception"),
    "ConfigurableClassData": as_type,
    "DagsterAssetCheckFailedError": has("__name__"),
    "DagsterEventBatchMetadata": lambda it: it("batch", True),
    "DagsterSqliteStorage": _use_storage,
    "EventHandlerFn": as_type,
    "InstanceRef": _use_instance_ref,
    "JobFailureData": lambda it: has("error", "failure_reason")(it(error=None)),
    "NoOpComputeLogManager": has("__module__", "__name__"),
    "PartitionKeyFilter": lambda it: it(key="2018-11-01"),
    "RawMetadataValue": as_type,
    "RunFailureReason": has("UNEXPECTED_TERMINATION"),
    "RunStatusChangeEventType": lambda it: holds("RUN_FAILURE", "RUN_SUCCESS", "RUN_CANCELED")(
        get_args(it)
    ),
    "SqlEventLogStorageTable": columns("id", "event", "dagster_event_type", "timestamp"),
    "SqliteEventLogStorage": _use_event_log,
    "SqliteEventLogStorageWatchdog": _use_watchdog,
    "SqliteStorageConfig": as_type,
    "UnresolvedAssetJobDefinition": as_type,
    "load_yaml_from_path": lambda it: takes(it, "path"),
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.name)
def test_the_installed_dagster_has_each_name_as_it_is_used(name: Name) -> None:
    trouble = trouble_with(name, USES[name.name])
    if trouble:
        pytest.fail(trouble, pytrace=False)


def test_each_name_has_a_reason_and_a_use() -> None:
    assert all(name.needed_to for name in NAMES)
    assert sorted(USES) == sorted(name.name for name in NAMES)


def test_the_names_of_the_storage_are_loaded_from_where_they_are_typed() -> None:
    """They stand twice, for mypy and for the first use."""
    guarded, late = {}, {}
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            imports = [child for child in node.body if isinstance(child, ast.ImportFrom)]
            guarded = {alias.name: child.module for child in imports for alias in child.names}
            late = ast.literal_eval(
                next(child for child in node.orelse if isinstance(child, ast.Assign)).value
            )
    assert guarded
    assert late == guarded


def test_no_other_file_of_the_package_names_a_private_module() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and path != HOME and path.suffix != ".pyc"
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if _PRIVATE.search(line)
    ]
    if found:
        pytest.fail(
            "These lines name private modules of Dagster; only"
            " sparkify_dagster/defs/dagster_private.py may:\n" + "\n".join(found),
            pytrace=False,
        )


@pytest.mark.parametrize(
    "line",
    [
        "from dagster._core.events import JobFailureData",
        "    import dagster._check as check",
        "from dagster import _check",
        '    "module": "dagster._core.storage.noop_compute_log_manager",',
        "from dagster_shared.serdes import serialize_value",
        "from dagster_graphql._version import x",
        "step = dg._core.execution",
    ],
)
def test_a_line_that_names_a_private_module_is_found(line: str) -> None:
    assert _PRIVATE.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "import dagster as dg",
        "from sparkify_dagster.defs.dagster_private import JobFailureData",
        "from dagster import AssetCheckEvaluation, DagsterEventType",
        "event = record.event_log_entry.dagster_event",
    ],
)
def test_a_line_that_names_none_is_not(line: str) -> None:
    assert not _PRIVATE.search(line)


IMAGINED = Name("dagster._imagined", "Thing", "To read why a run failed: not exported. (1.2.3)")


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A private module of a Dagster that is yet to come."""
    module = ModuleType(IMAGINED.module)
    monkeypatch.setitem(sys.modules, IMAGINED.module, module)
    monkeypatch.setattr(metadata, "version", lambda _: "1.14.0")
    return module


@pytest.mark.usefixtures("imagined")
def test_a_name_that_is_gone_is_reported_in_a_sentence() -> None:
    assert trouble_with(IMAGINED, as_type) == (
        "dagster 1.14.0 no longer has dagster._imagined.Thing, which sparkify needs to read why a"
        " run failed: not exported. Find its new place, and correct"
        " sparkify_dagster/defs/dagster_private.py."
    )


def test_a_module_that_is_gone_is_reported_in_the_same_sentence() -> None:
    reported = trouble_with(IMAGINED._replace(module="dagster._gone.parts"), as_type)
    assert "no longer has dagster._gone.parts.Thing, which sparkify needs to read why" in reported


def _now(shard: str, pool: str) -> None:
    """A method that took a shard alone."""


@pytest.mark.parametrize(
    ("changed", "use", "said"),
    [
        (_now, lambda it: takes(it, "shard"), "_now: missing a required argument: 'pool'"),
        (
            _now,
            lambda it: takes(it, "shard", "pool", wait=1),
            "_now: got an unexpected keyword argument 'wait'",
        ),
        (_now, lambda it: is_overridden(it, "shard"), "_now now takes shard, pool"),
        (object, has("PLANNED"), "it has no PLANNED"),
        ([], holds("RUN_FAILURE"), "it lacks RUN_FAILURE"),
    ],
)
def test_a_name_that_changed_is_reported_in_a_sentence(
    changed: object, use: Callable[[Any], object], said: str, imagined: ModuleType
) -> None:
    imagined.__dict__["Thing"] = changed
    assert trouble_with(IMAGINED, use) == (
        f"dagster 1.14.0 has changed dagster._imagined.Thing ({said}), which sparkify needs to read"
        " why a run failed: not exported. Correct what uses it."
    )


def test_an_output_keeps_its_days_and_its_asset_under_the_names_that_are_narrowed() -> None:
    import dagster as dg

    kept = vars(dg.build_output_context(asset_key="a"))
    for name in ("_asset_partitions_subset", "_asset_key"):
        assert name in kept, (
            f"dagster {metadata.version('dagster')}: OutputContext has no {name} any more, so days"
            " that are held back would be recorded as materialized; see `narrow`."
        )
