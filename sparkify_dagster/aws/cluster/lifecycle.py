"""Create, pause, resume and delete: in which order, how long to wait, and what is left alone.

Every step can be repeated: what is there already is left as it is, and what an interrupted command
began is completed. Nothing is asked of a person here.
"""

from collections.abc import Sequence

from sparkify_dagster.aws.cluster import network, role
from sparkify_dagster.aws.cluster.base import (
    UNFINISHED,
    Clock,
    ClusterError,
    Done,
    Maker,
    Notify,
    Plan,
    State,
    plan_of,
    seconds,
)
from sparkify_dagster.aws.cluster.prices import estimate
from sparkify_dagster.aws.cluster.provisioned import Provisioned
from sparkify_dagster.aws.cluster.serverless import Serverless
from sparkify_dagster.aws.requests import Aws, AwsError
from sparkify_dagster.settings import Settings
from sparkify_dagster.settings.sections import WarehouseKind

LIMIT = 3600.0
"""Seconds to wait for one change; AWS usually takes 2 to 15 minutes."""
PAUSE = 10.0
_TELL_EVERY = 60.0
# What was asked for a moment ago may not be seen at once.
_APPEARS = 60.0
# What IAM has made takes some seconds to be seen by other services.
_IAM_SETTLES = 10.0

SLEEPS_BY_ITSELF = (
    "A serverless workgroup pauses by itself when nothing runs, wakes with the next query, and"
    " costs nothing but its storage in between: there is nothing to do."
)


def open_cluster(settings: Settings, notify: Notify, clock: Clock | None = None) -> "Cluster":
    """The warehouse of [DWH], existing or not; AWS is not asked yet.

    Raises:
        ClusterError: if the settings cannot be those of a Redshift warehouse.
    """
    return Cluster(settings, plan_of(settings), notify, clock or Clock())


class Cluster:
    """One warehouse on AWS. Every method raises ClusterError or AwsError, with what to do."""

    def __init__(self, settings: Settings, plan: Plan, notify: Notify, clock: Clock) -> None:
        self._settings = settings
        self.plan = plan
        self._notify = notify
        self._clock = clock
        self._aws = Aws(plan.region)
        serverless = plan.kind is WarehouseKind.SERVERLESS
        self._provisioned = None if serverless else Provisioned(self._aws, plan)
        self._maker: Maker = self._provisioned or Serverless(self._aws, plan)

    def intentions(self) -> list[str]:
        """What `create` would make and cost, in lines; refuses a lake that Redshift cannot read."""
        plan = self.plan
        reached = (
            f"reachable for {plan.allowed_cidr} on port {plan.port}"
            if plan.allowed_cidr
            else "reachable from inside its VPC only (see [DWH] ALLOWED_CIDR)"
        )
        read = ", ".join(f"s3://{p.bucket}/{p.key}" for p in role.places_of(self._settings))
        return [
            f"{plan.subject} in {plan.region}: {plan.size}, encrypted, {reached};",
            f"its database {plan.db_name} with the administrator {plan.db_user}, whose password is"
            " kept by AWS Secrets Manager;",
            f"the IAM role {plan.role_name}, which can read {read}.",
            estimate(plan),
        ]

    def look(self) -> State | None:
        """The warehouse as it is; None if there is none."""
        return self._maker.look()

    def facts(self) -> list[str]:
        """The warehouse as it is, in lines.

        Raises:
            ClusterError: if there is none; it names what an earlier one left.
        """
        state = self.look()
        if state is None:
            raise ClusterError(f"{self._missing()}{self._remains()}")
        return [f"{self._there(state)}.", *(f"  {k}: {v or '-'}" for k, v in state.facts.items())]

    def farewell(self, snapshot: str | None) -> str:
        """What to say after `delete`."""
        kept = f" Its data are in the snapshot {snapshot}, which costs storage until deleted."
        return (
            f"Nothing of {self.plan.name} is left in {self.plan.region}.{kept if snapshot else ''}"
        )

    def _missing(self) -> str:
        return (
            f"{self.plan.subject} does not exist in {self.plan.region}: `sparkify cluster create`"
            " makes it. [DWH] KIND and IDENTIFIER and [S3] REGION say which one is meant."
        )

    def _remains(self) -> str:
        found = role.find_role(self._aws, self.plan)
        group = network.find_group(self._aws, self.plan)
        remains = [f"the IAM role {self.plan.role_name}"] if found and found[1] else []
        remains += [f"the security group {network.group_name(self.plan)}"] if group else []
        left = " and ".join(remains)
        return (
            f" Of an earlier one there is {left}; `sparkify cluster delete` deletes it."
            if left
            else ""
        )

    def create(self) -> tuple[State, str]:
        """Make what is missing, and wait for it; the state, and the ARN of the role."""
        places = role.places_of(self._settings)
        state = self._settled()
        if state and state.broken:
            raise ClusterError(
                f"{self._there(state)}: AWS cannot mend it by itself. Look at it in the console, or"
                " delete it (sparkify cluster delete) and create it again."
            )
        arn, new = role.ensure_role(self._aws, self.plan, places, self._notify)
        groups = network.ensure_group(self._aws, self.plan, self._notify)
        if state and state.status != UNFINISHED:
            self._notify(f"{self._there(state)}: left as it is")
            self._tell_differences(state, arn, groups)
            return state, arn
        if new:
            self._clock.sleep(_IAM_SETTLES)
        self._maker.make(arn, groups)
        self._notify(f"{self.plan.subject}: asked for; AWS goes on if this command is interrupted")
        made = self._wait(lambda now: bool(now and now.available and now.host))
        assert made is not None  # the line above has seen to it
        return made, arn

    def pause(self) -> None:
        """Stop paying for the nodes of a provisioned cluster; its data stay."""
        state = self._existing()
        if self._provisioned is None:
            self._notify(SLEEPS_BY_ITSELF)
        elif state.status == "paused":
            self._notify(f"{self._there(state)} already")
        else:
            self._provisioned.pause()
            self._wait(lambda now: bool(now and now.status == "paused"))

    def resume(self) -> None:
        """Start a paused cluster; a cluster that runs is left as it is."""
        state = self._existing()
        if self._provisioned is None:
            self._notify(SLEEPS_BY_ITSELF)
        elif state.available:
            self._notify(f"{self._there(state)} already")
        else:
            self._provisioned.resume()
            self._wait(lambda now: bool(now and now.available))

    def delete(self, *, final_snapshot: bool) -> str | None:
        """Delete what was made, and nothing else; the name of the final snapshot, if there is one.

        Its administrator's secret is AWS's own and goes with it.
        """
        taken: str | None = None
        state = self._settled()
        if state is None:
            self._notify(f"{self.plan.subject} does not exist in {self.plan.region}")
        while state is not None:
            if state.status == "paused" and self._provisioned:
                self._notify(f"{self._there(state)}: AWS deletes only a running one, so it resumes")
                self._provisioned.resume()
                self._wait(lambda now: now is None or now.available)
            else:
                taken = taken or (self._snapshot_name() if final_snapshot else None)
                self._remove(state, taken)
            state = self._settled()
        role.remove_role(self._aws, self.plan, self._notify)
        network.remove_group(self._aws, self.plan, self._clock, self._notify)
        return taken

    def _remove(self, state: State, snapshot: str | None) -> None:
        try:
            done = self._maker.remove(state, snapshot)
        except AwsError as error:
            problem = (
                f"{self._there(state)} and could not be deleted; its data are still there."
                f" {error}" + (" Without a snapshot: --no-final-snapshot." if snapshot else "")
            )
        else:
            self._wait(done)
            return
        raise ClusterError(problem)

    def _snapshot_name(self) -> str:
        return f"{self.plan.identifier}-final-{self._clock.today():%Y%m%d-%H%M%S}"

    def _existing(self) -> State:
        state = self._settled()
        if state is None:
            raise ClusterError(self._missing())
        return state

    def _settled(self) -> State | None:
        """The warehouse once AWS has ended what it is doing with it.

        Raises:
            ClusterError: if it was made by somebody else.
        """
        state = self._maker.look()
        if state and not state.ours:
            raise ClusterError(
                f"{self._there(state)} and was not made by `sparkify cluster create`; it is left as"
                " it is. Choose another [DWH] IDENTIFIER."
            )
        if state and not state.settled:
            return self._wait(lambda now: now is None or now.settled)
        return state

    def _wait(self, done: Done) -> State | None:
        start = shown = self._clock.now()
        status, broken = "", None
        while True:
            state = self._maker.look()
            found = state.status if state else "gone"
            if broken is None:  # what was broken before may well be waited for, to vanish
                broken = bool(state and state.broken)
            now = self._clock.now()
            if found != status or now - shown >= _TELL_EVERY:
                self._notify(f"{self.plan.subject}: {found} ({seconds(now - start)})")
                status, shown = found, now
            if done(state):
                return state
            limit = LIMIT if state else _APPEARS
            if (state and state.broken and not broken) or now - start >= limit:
                raise ClusterError(self._why_not(state, now - start))
            self._clock.sleep(PAUSE)

    def _why_not(self, state: State | None, waited: float) -> str:
        if state is None:
            return f"{self.plan.subject} was deleted by somebody while this command waited for it."
        if state.broken:
            return f"{self._there(state)}: look at it in the console, or delete it."
        return (
            f"{self._there(state)} after {seconds(waited)} minutes of waiting. AWS goes on: repeat"
            " the command to wait on; `sparkify cluster status` shows how it is."
        )

    def _there(self, state: State) -> str:
        return f"{self.plan.subject} in {self.plan.region} is {state.status}"

    def _tell_differences(self, state: State, role_arn: str, groups: Sequence[str]) -> None:
        """What [DWH] says otherwise; changing it is for `delete` and `create`, or the console."""
        plan = self.plan
        differences = [
            (f"{state.size}, not {plan.size}", state.size != plan.size),
            (f"its database is {state.db_name}, not {plan.db_name}", state.db_name != plan.db_name),
            (f"it does not have the role {plan.role_name}", role_arn not in state.roles),
            ("it is publicly accessible, without ALLOWED_CIDR", state.public and not groups),
            ("it is not publicly accessible, despite ALLOWED_CIDR", bool(groups) > state.public),
            ("it is not in its security group", not set(groups) <= set(state.groups)),
        ]
        for what, differs in differences:
            if differs:
                self._notify(f"{plan.subject} differs from [DWH]: {what}")
