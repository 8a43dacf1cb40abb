"""A serverless warehouse: a namespace (the data, the administrator) and a workgroup (the compute).

Both have the same name. The namespace is made first and deleted last.
"""

from collections.abc import Sequence

from sparkify_dagster.aws.cluster.base import (
    UNFINISHED,
    Done,
    Maker,
    Plan,
    State,
    carries_tag,
    tags,
)
from sparkify_dagster.aws.requests import Answer, Aws, AwsError, entries, word

SERVICE = "redshift-serverless"
_NO_SUCH = "ResourceNotFoundException"


class Serverless(Maker):
    def __init__(self, aws: Aws, plan: Plan) -> None:
        self._aws = aws
        self._plan = plan

    def look(self) -> State | None:
        name = self._plan.identifier
        namespace = self._find("GetNamespace", "namespace", namespaceName=name)
        workgroup = self._find("GetWorkgroup", "workgroup", workgroupName=name)
        if not namespace and not workgroup:
            return None
        return self._state(namespace or {}, workgroup or {})

    def make(self, role_arn: str, groups: Sequence[str]) -> None:
        plan = self._plan
        if not self._find("GetNamespace", "namespace", namespaceName=plan.identifier):
            self._aws.call(
                SERVICE,
                "CreateNamespace",
                namespaceName=plan.identifier,
                dbName=plan.db_name,
                adminUsername=plan.db_user,
                manageAdminPassword=True,
                iamRoles=[role_arn],
                defaultIamRoleArn=role_arn,
                tags=_tags(plan),
            )
        # Its data are encrypted in any case: serverless knows no other way.
        self._aws.call(
            SERVICE,
            "CreateWorkgroup",
            workgroupName=plan.identifier,
            namespaceName=plan.identifier,
            baseCapacity=plan.base_capacity,
            port=plan.port,
            publiclyAccessible=bool(groups),
            **({"securityGroupIds": list(groups)} if groups else {}),
            tags=_tags(plan),
        )

    def remove(self, state: State, snapshot: str | None) -> Done:
        name = self._plan.identifier
        if state.status != UNFINISHED:
            self._aws.call(SERVICE, "DeleteWorkgroup", workgroupName=name)
            return lambda now: now is None or now.status == UNFINISHED
        final = {"finalSnapshotName": snapshot} if snapshot else {}
        self._aws.call(SERVICE, "DeleteNamespace", namespaceName=name, **final)
        return lambda now: now is None

    def _find(self, operation: str, part: str, **name: str) -> Answer | None:
        try:
            answer = self._aws.call(SERVICE, operation, **name)
        except AwsError as error:
            if error.code != _NO_SUCH:
                raise
            return None
        found = answer.get(part)
        return found if isinstance(found, dict) else None

    def _is_ours(self, arn: str) -> bool:
        try:
            answer = self._aws.call(SERVICE, "ListTagsForResource", resourceArn=arn)
        except AwsError as error:
            if error.code != _NO_SUCH:  # it vanished between two requests
                raise
            return True
        return carries_tag(entries(answer, "tags"), self._plan.owner)

    def _state(self, namespace: Answer, workgroup: Answer) -> State:
        arns = (word(namespace, "namespaceArn"), word(workgroup, "workgroupArn"))
        return State(
            status=_status(namespace, workgroup),
            ours=all(self._is_ours(arn) for arn in arns if arn),
            size=f"{word(workgroup, 'baseCapacity')} RPU" if workgroup else "no workgroup",
            host=word(workgroup, "endpoint", "address"),
            port=word(workgroup, "endpoint", "port"),
            db_name=word(namespace, "dbName"),
            db_user=word(namespace, "adminUsername"),
            secret_arn=word(namespace, "adminPasswordSecretArn"),
            roles=_roles(namespace),
            groups=_texts(workgroup, "securityGroupIds"),
            public=workgroup.get("publiclyAccessible") is True,
        )


def _status(namespace: Answer, workgroup: Answer) -> str:
    status = word(workgroup or namespace, "status").lower()
    return UNFINISHED if not workgroup and status == "available" else status


def _roles(namespace: Answer) -> tuple[str, ...]:
    """AWS answers with bare ARNs, or with `IamRole(applyStatus=in-sync, iamRoleArn=arn:…)`."""
    said = _texts(namespace, "iamRoles")
    return tuple(text.partition("iamRoleArn=")[2].rstrip(")") or text for text in said)


def _texts(answer: Answer, name: str) -> tuple[str, ...]:
    found = answer.get(name)
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def _tags(plan: Plan) -> list[dict[str, str]]:
    return [{name.lower(): text for name, text in tag.items()} for tag in tags(plan.owner)]
