"""A RayJob of KubeRay: a Ray cluster for one sweep, begun anew with the same sweep where its head is lost.

Field names: KubeRay's API reference, versions 1.6 and 1.7. The operator gives every container RAY_AUTH_MODE=token and
RAY_AUTH_TOKEN from the Secret that `authOptions` names, and needs it itself to ask the head how the job is.
"""

import shlex
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from orchestrator.errors import BadInput
from orchestrator.manifests.pods import (
    Claim,
    Container,
    EmptyDir,
    Fields,
    Mount,
    PodSecurity,
    PodSpec,
    PodTemplate,
    Resources,
    SecretName,
    Toleration,
    Variable,
    Variables,
    Volume,
)
from orchestrator.manifests.request import (
    Driver,
    Image,
    Line,
    MemoryMiB,
    NumCpus,
    NumGpus,
    NumNodes,
    as_yaml,
    is_remote,
    matching,
    plain_name,
)

SHARED, LOCAL = "/shared", "/var/lib/orchestrate"  # where pods see the claim, and their node's disk
GROUP_ID = 10001  # of the image's user, see Dockerfile
GPU = "nvidia.com/gpu"
HEAD_CPUS, HEAD_MEMORY_MIB = 4, 16 * 1024  # the driver decodes images and keeps the journal; no trial runs there
NEW_CLUSTERS = 5  # an attempt counts whether Kubernetes took the head away or the sweep could not go on
KEPT_AFTER_END_S = 600
IDLE_S = 1800  # longer than images take to be decoded: what leaves before the first trial does not come back
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

Name = Annotated[str, matching(rf"{LABEL}(\.{LABEL})*", "small letters, digits, dashes and points, as Kubernetes does")]


class KubeRayRequest(BaseModel):
    """What a RayJob is asked for: `workers` pods of `gpus` GPUs, `cpus` CPUs and `memory` MiB each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: NumGpus
    workers: NumNodes
    min_workers: NumNodes
    cpus: NumCpus
    memory: MemoryMiB
    image: Image
    namespace: Annotated[str, matching(LABEL, "the name of a namespace")] | None = None
    claim: Name
    token_secret: Name
    env_secret: Name
    tracking_uri: Line | None = None

    @field_validator("min_workers")
    @classmethod
    def _no_more_than_all(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("workers", value):
            raise ValueError(f"expected no more than --workers {info.data['workers']}")
        return value


class Metadata(Fields):
    """The name of an object."""

    name: str
    namespace: str | None = None


class AuthOptions(Fields):
    """Token authentication, the token from a Secret's key auth_token."""

    mode: Literal["token"] = "token"
    secret_name: str


class AutoscalerOptions(Fields):
    """When an idle worker goes."""

    idle_timeout_seconds: int


class HeadGroup(Fields):
    """The head's pod."""

    ray_start_params: dict[str, str]
    template: PodTemplate


class WorkerGroup(Fields):
    """Workers that are all alike."""

    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int
    ray_start_params: dict[str, str]
    template: PodTemplate


class RayClusterSpec(Fields):
    """A Ray cluster; `ray_version` is that of the image."""

    ray_version: str
    enable_in_tree_autoscaling: bool
    auth_options: AuthOptions
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroup
    worker_group_specs: tuple[WorkerGroup]


class RayJobSpec(Fields):
    """A job and the cluster it runs on.

    `SidecarMode`: what submits the job lives in the head's pod, so that a lost head is a failed attempt at once; in
    HTTPMode the job stays "running" then, and in K8sJobMode it depends on who notices first.
    """

    entrypoint: str
    submission_mode: Literal["SidecarMode"] = "SidecarMode"
    backoff_limit: int
    shutdown_after_job_finishes: Literal[True] = True
    ttl_seconds_after_finished: int
    ray_cluster_spec: RayClusterSpec


class RayJob(Fields):
    """The whole object."""

    api_version: Literal["ray.io/v1"] = "ray.io/v1"
    kind: Literal["RayJob"] = "RayJob"
    metadata: Metadata
    spec: RayJobSpec


def kuberay_manifest(asked: KubeRayRequest, driver: Driver) -> str:
    """Return the YAML of the RayJob that runs a sweep. Raises BadInput for a storage that its pods do not share."""
    if not is_remote(driver.storage) and not PurePosixPath(driver.storage).is_relative_to(SHARED):
        rule = f"expected a folder below {SHARED}, where pods see the claim {asked.claim}, or a URI such as s3://bucket"
        raise BadInput(f"--storage {driver.storage}: {rule}")
    cluster = RayClusterSpec(
        ray_version=version("ray"),
        enable_in_tree_autoscaling=True,
        auth_options=AuthOptions(secret_name=asked.token_secret),
        autoscaler_options=AutoscalerOptions(idle_timeout_seconds=IDLE_S),
        head_group_spec=HeadGroup(
            ray_start_params={"num-cpus": "0", "num-gpus": "0"},
            template=_pod("ray-head", asked, driver, HEAD_CPUS, HEAD_MEMORY_MIB, 0),
        ),
        worker_group_specs=(
            WorkerGroup(
                group_name="trials",
                replicas=asked.workers,
                min_replicas=asked.min_workers,
                max_replicas=asked.workers,
                ray_start_params={},
                template=_pod("ray-worker", asked, driver, asked.cpus, asked.memory, asked.gpus),
            ),
        ),
    )
    job = RayJob(
        metadata=Metadata(name=plain_name(driver.id), namespace=asked.namespace),
        spec=RayJobSpec(
            entrypoint=_literal(shlex.join(driver.words("auto"))),
            backoff_limit=NEW_CLUSTERS,
            ttl_seconds_after_finished=KEPT_AFTER_END_S,
            ray_cluster_spec=cluster,
        ),
    )
    return as_yaml(job.model_dump(mode="json", by_alias=True, exclude_none=True))


def _pod(name: str, asked: KubeRayRequest, driver: Driver, cpus: int, memory_mib: int, gpus: int) -> PodTemplate:
    resources = {"cpu": str(cpus), "memory": f"{memory_mib}Mi", **({GPU: str(gpus)} if gpus else {})}
    mounts = [Mount(name="local", mount_path=LOCAL), Mount(name="shm", mount_path="/dev/shm")]
    volumes = [
        Volume(name="local", empty_dir=EmptyDir()),
        Volume(name="shm", empty_dir=EmptyDir(medium="Memory", size_limit=f"{memory_mib}Mi")),
    ]
    if not is_remote(driver.storage):
        mounts.append(Mount(name="shared", mount_path=SHARED))
        volumes.append(Volume(name="shared", persistent_volume_claim=Claim(claim_name=asked.claim)))
    variables = {"ORCHESTRATE_HOME": LOCAL, "RAY_USAGE_STATS_ENABLED": "0"}
    if asked.tracking_uri is not None:
        variables["MLFLOW_TRACKING_URI"] = asked.tracking_uri
    container = Container(
        name=name,
        image=asked.image,
        env=tuple(Variable(name=key, value=_literal(value)) for key, value in variables.items()),
        env_from=(Variables(secret_ref=SecretName(name=asked.env_secret, optional=True)),),
        resources=Resources(requests=resources, limits=resources),
        volume_mounts=tuple(mounts),
    )
    return PodTemplate(
        spec=PodSpec(
            security_context=PodSecurity(fs_group=GROUP_ID),
            containers=(container,),
            tolerations=(Toleration(key=GPU),) if gpus else None,
            volumes=tuple(volumes),
        )
    )


def _literal(text: str) -> str:
    """Return a text as Kubernetes hands it on unchanged: it replaces $(NAME) in commands and in variables."""
    return text.replace("$", "$$")
