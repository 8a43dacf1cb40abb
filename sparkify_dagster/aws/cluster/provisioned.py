"""A provisioned cluster: the requests that look at, make, pause, resume and delete it."""

from collections.abc import Sequence

from sparkify_dagster.aws.cluster.base import Done, Maker, Plan, State, carries_tag, tags
from sparkify_dagster.aws.requests import Answer, Aws, AwsError, entries, word

_NO_SUCH = {"ClusterNotFound", "ClusterNotFoundFault"}


class Provisioned(Maker):
    def __init__(self, aws: Aws, plan: Plan) -> None:
        self._aws = aws
        self._plan = plan

    def look(self) -> State | None:
        try:
            answer = self._aws.call(
                "redshift", "DescribeClusters", ClusterIdentifier=self._plan.identifier
            )
        except AwsError as error:
            if error.code not in _NO_SUCH:
                raise
            return None
        found = entries(answer, "Clusters")
        return self._state(found[0]) if found else None

    def make(self, role_arn: str, groups: Sequence[str]) -> None:
        plan = self._plan
        several = {"NumberOfNodes": plan.num_nodes} if plan.num_nodes > 1 else {}
        self._aws.call(
            "redshift",
            "CreateCluster",
            ClusterIdentifier=plan.identifier,
            NodeType=plan.node_type,
            ClusterType="multi-node" if several else "single-node",
            **several,
            DBName=plan.db_name,
            MasterUsername=plan.db_user,
            ManageMasterPassword=True,
            IamRoles=[role_arn],
            DefaultIamRoleArn=role_arn,
            Encrypted=True,
            PubliclyAccessible=bool(groups),
            Port=plan.port,
            **({"VpcSecurityGroupIds": list(groups)} if groups else {}),
            Tags=tags(plan.owner),
        )

    def remove(self, state: State, snapshot: str | None) -> Done:
        final = (
            {"SkipFinalClusterSnapshot": False, "FinalClusterSnapshotIdentifier": snapshot}
            if snapshot
            else {"SkipFinalClusterSnapshot": True}
        )
        self._aws.call(
            "redshift", "DeleteCluster", ClusterIdentifier=self._plan.identifier, **final
        )
        return lambda now: now is None

    def pause(self) -> None:
        self._aws.call("redshift", "PauseCluster", ClusterIdentifier=self._plan.identifier)

    def resume(self) -> None:
        self._aws.call("redshift", "ResumeCluster", ClusterIdentifier=self._plan.identifier)

    def _state(self, found: Answer) -> State:
        groups = entries(found, "VpcSecurityGroups")
        roles = entries(found, "IamRoles")
        return State(
            status=word(found, "ClusterStatus").lower(),
            ours=carries_tag(entries(found, "Tags"), self._plan.owner),
            size=f"{word(found, 'NumberOfNodes')} x {word(found, 'NodeType')}",
            host=word(found, "Endpoint", "Address"),
            port=word(found, "Endpoint", "Port"),
            db_name=word(found, "DBName"),
            db_user=word(found, "MasterUsername"),
            secret_arn=word(found, "MasterPasswordSecretArn"),
            roles=tuple(word(role, "IamRoleArn") for role in roles),
            groups=tuple(word(group, "VpcSecurityGroupId") for group in groups),
            public=found.get("PubliclyAccessible") is True,
        )
