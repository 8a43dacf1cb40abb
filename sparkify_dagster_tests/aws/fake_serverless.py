"""The part of Redshift Serverless's control plane that we use, in memory: moto has none of it.

It answers real HTTP requests of botocore before they are sent, as moto does: botocore validates the
request and parses the answer. Time passes when the test's clock is told to.
"""

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

ACCOUNT = "123456789012"
REGION = "us-west-2"
Json = dict[str, Any]
TICKS = 2  # how often the clock must move until something asked for is done


class Refused(Exception):
    """An error that AWS would answer with."""

    def __init__(self, code: str, message: str = "refused by the test") -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


@dataclass(repr=False)  # botocore logs the repr of whatever handles a request
class FakeServerless:
    """Namespaces and workgroups by name, and what was asked."""

    namespaces: dict[str, Json] = field(default_factory=dict)
    workgroups: dict[str, Json] = field(default_factory=dict)
    tags: dict[str, list[Json]] = field(default_factory=dict)
    snapshots: dict[str, str] = field(default_factory=dict)
    password: str = ""
    calls: list[tuple[str, Json]] = field(default_factory=list)
    refuse: dict[str, Refused] = field(default_factory=dict)  # by operation, once

    def __call__(self, request: "AWSPreparedRequest", **_: object) -> "AWSResponse":
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        asked = json.loads(request.body)
        self.calls.append((operation, asked))
        try:
            if operation in self.refuse:
                raise self.refuse.pop(operation)
            return _answer(request, 200, getattr(self, f"_{operation}")(**asked))
        except Refused as error:
            return _answer(request, 400, {"__type": error.code, "message": error.message})

    def asked(self, operation: str) -> list[Json]:
        return [given for name, given in self.calls if name == operation]

    def tick(self) -> None:
        for found in (self.namespaces, self.workgroups):
            for name, item in list(found.items()):
                item["ticks"] -= 1
                if item["ticks"] <= 0 and item["status"] == "DELETING":
                    del found[name]
                elif item["ticks"] <= 0:
                    item["status"] = "AVAILABLE"

    def _CreateNamespace(self, namespaceName: str, **given: Any) -> Json:
        if namespaceName in self.namespaces:
            raise Refused("ConflictException", "exists")
        if not given.get("manageAdminPassword") or "adminUserPassword" in given:
            raise Refused("ValidationException", "whose password?")
        arn = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:namespace/{namespaceName}"
        self.tags[arn] = given.pop("tags", [])
        secret = f"redshift!{namespaceName}-{given['adminUsername']}-AbCdEf"
        self.namespaces[namespaceName] = {
            "namespaceName": namespaceName,
            "namespaceArn": arn,
            "status": "AVAILABLE",
            "ticks": 0,
            "adminPasswordSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret}",
            **{name: given[name] for name in ("dbName", "adminUsername")},
            "iamRoles": [
                f"IamRole(applyStatus=in-sync, iamRoleArn={role})" for role in given["iamRoles"]
            ],
        }
        return {"namespace": _shown(self.namespaces[namespaceName])}

    def _CreateWorkgroup(self, workgroupName: str, namespaceName: str, **given: Any) -> Json:
        if namespaceName not in self.namespaces:
            raise Refused("ResourceNotFoundException")
        if workgroupName in self.workgroups:
            raise Refused("ConflictException", "exists")
        arn = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/{workgroupName}"
        self.tags[arn] = given.pop("tags", [])
        address = f"{workgroupName}.{ACCOUNT}.{REGION}.redshift-serverless.amazonaws.com"
        self.workgroups[workgroupName] = {
            "workgroupName": workgroupName,
            "namespaceName": namespaceName,
            "workgroupArn": arn,
            "status": "CREATING",
            "ticks": TICKS,
            "endpoint": {"address": address, "port": given["port"]},
            **given,
        }
        return {"workgroup": _shown(self.workgroups[workgroupName])}

    def _GetNamespace(self, namespaceName: str) -> Json:
        return {"namespace": _shown(_of(self.namespaces, namespaceName))}

    def _GetWorkgroup(self, workgroupName: str) -> Json:
        return {"workgroup": _shown(_of(self.workgroups, workgroupName))}

    def _ListTagsForResource(self, resourceArn: str) -> Json:
        return {"tags": self.tags[resourceArn]}

    def _DeleteWorkgroup(self, workgroupName: str) -> Json:
        found = _of(self.workgroups, workgroupName)
        if found["status"] != "AVAILABLE":
            raise Refused("ConflictException", f"it is {found['status']}")
        found |= {"status": "DELETING", "ticks": TICKS}
        return {"workgroup": _shown(found)}

    def _DeleteNamespace(self, namespaceName: str, finalSnapshotName: str = "") -> Json:
        found = _of(self.namespaces, namespaceName)
        if any(group["namespaceName"] == namespaceName for group in self.workgroups.values()):
            raise Refused("ConflictException", "it has a workgroup")
        if found["status"] != "AVAILABLE":
            raise Refused("ConflictException", f"it is {found['status']}")
        if finalSnapshotName:
            self.snapshots[finalSnapshotName] = namespaceName
        found |= {"status": "DELETING", "ticks": TICKS}
        return {"namespace": _shown(found)}

    def _GetCredentials(self, workgroupName: str, dbName: str, durationSeconds: int) -> Json:
        _of(self.workgroups, workgroupName)
        if not 900 <= durationSeconds <= 3600:
            raise Refused("ValidationException")
        return {"dbUser": "IAMR:analyst", "dbPassword": self.password, "expiration": 1.7e9}


def _of(found: dict[str, Json], name: str) -> Json:
    if name not in found:
        raise Refused("ResourceNotFoundException", f"{name} does not exist")
    return found[name]


def _shown(item: Json) -> Json:
    return {name: value for name, value in item.items() if name != "ticks"}


class _Raw(io.BytesIO):
    def stream(self, **_: object) -> Any:
        yield self.read()


def _answer(request: "AWSPreparedRequest", status: int, body: Json) -> "AWSResponse":
    from botocore.awsrequest import AWSResponse

    headers = {"x-amzn-errortype": body["__type"]} if status >= 400 else {}
    return AWSResponse(request.url, status, headers, _Raw(json.dumps(body).encode()))
