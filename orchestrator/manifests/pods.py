"""The part of Kubernetes' pod template that the manifest of a RayJob writes, field for field."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Fields(BaseModel):
    """Fields of a Kubernetes object, spelt in its way: `mount_path` is written as mountPath."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Variable(Fields):
    """An environment variable."""

    name: str
    value: str


class SecretName(Fields):
    """A Secret, all keys of it; `optional` where there may be none."""

    name: str
    optional: bool


class Variables(Fields):
    """Environment variables from somewhere else."""

    secret_ref: SecretName


class Resources(Fields):
    """What a container asks for, and may not exceed."""

    requests: dict[str, str]
    limits: dict[str, str]


class Mount(Fields):
    """Where a container sees a volume."""

    name: str
    mount_path: str


class ContainerSecurity(Fields):
    """What a container's processes may become."""

    allow_privilege_escalation: Literal[False] = False


class Container(Fields):
    """A container of Ray: the operator adds its command, ports, probes and token."""

    name: str
    image: str
    env: tuple[Variable, ...]
    env_from: tuple[Variables, ...]
    resources: Resources
    security_context: ContainerSecurity = ContainerSecurity()
    volume_mounts: tuple[Mount, ...]


class EmptyDir(Fields):
    """A folder that ends with its pod, on the node's disk, or in memory."""

    medium: Literal["Memory"] | None = None
    size_limit: str | None = None


class Claim(Fields):
    """A volume claim of the namespace."""

    claim_name: str


class Volume(Fields):
    """A volume of a pod: one of the two."""

    name: str
    empty_dir: EmptyDir | None = None
    persistent_volume_claim: Claim | None = None


class Toleration(Fields):
    """A taint of nodes that the pod puts up with."""

    key: str
    operator: Literal["Exists"] = "Exists"
    effect: Literal["NoSchedule"] = "NoSchedule"


class PodSecurity(Fields):
    """Whom a pod runs as; `fs_group` may write to its volumes."""

    run_as_non_root: Literal[True] = True
    fs_group: int


class PodSpec(Fields):
    """A pod of one container that is replaced, never restarted."""

    restart_policy: Literal["Never"] = "Never"
    security_context: PodSecurity
    containers: tuple[Container]
    tolerations: tuple[Toleration, ...] | None = None
    volumes: tuple[Volume, ...]


class PodTemplate(Fields):
    """What pods are made from."""

    spec: PodSpec
