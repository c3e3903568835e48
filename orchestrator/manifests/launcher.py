"""A cluster of Ray's own launcher (`ray up`), on hosts that are there: the provider `local`.

Clouds are left to Kubernetes: what a cloud provider needs (instance types, images, networks, rights) is the account's,
and cannot be checked here. Field names: `ray/autoscaler/ray-schema.json` of Ray, which a test holds them against.
"""

import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from orchestrator.errors import BadInput
from orchestrator.manifests.request import Driver, Image, Line, NumCpus, NumGpus, as_yaml, is_remote, matching

PORT = 6379
TOKEN_FILE = "~/.ray/auth_token"  # where `ray get-auth-token --generate` writes it, and where Ray looks for it
ENDS_RAY = "ray stop"  # of the container alone: processes of the host, and other users' Rays, are not seen from there
OPEN_FILES = "ulimit -n 65536"

Host = Annotated[str, matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "a host name or an IPv4 address")]


def _mounted(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value.startswith("/") or not value.isprintable() or ":" in value:
            raise ValueError(f"{value!r}: expected the whole path of a folder, without a colon")
    return values


class LauncherRequest(BaseModel):
    """What a cluster is asked for; `mount`: folders that containers see as their host does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Host
    worker: tuple[Host, ...]
    ssh_user: Annotated[str, matching(r"[A-Za-z_][\w.-]{0,31}", "the name of a user")]
    ssh_key: Line
    image: Image
    gpus: NumGpus | None = None
    cpus: NumCpus | None = None
    mount: Annotated[tuple[str, ...], AfterValidator(_mounted)] = ()
    tracking_uri: Line | None = None


class Record(BaseModel):
    """A part of the file that holds these keys and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provider(Record):
    """Where hosts come from."""

    type: Literal["local"] = "local"
    head_ip: str
    worker_ips: tuple[str, ...]


class Auth(Record):
    """How the launcher, and later the head, reaches hosts."""

    ssh_user: str
    ssh_private_key: str


class Docker(Record):
    """The container that everything runs in, one a host. Options are words of a shell."""

    image: str
    container_name: str
    pull_before_run: bool
    run_options: tuple[str, ...]
    worker_run_options: tuple[str, ...]


class Note(Record):
    """What Ray does not read: the driver's command, for whoever reads the file."""

    driver: str


class Cluster(Record):
    """The whole file. Without `max_workers` and with a fixed list of hosts, all of them are workers."""

    cluster_name: str
    provider: Provider
    auth: Auth
    docker: Docker
    file_mounts: dict[str, str]
    head_start_ray_commands: tuple[str, ...]
    worker_start_ray_commands: tuple[str, ...]
    metadata: Note


def launcher_manifest(asked: LauncherRequest, driver: Driver, name: str) -> str:
    """Return the YAML of a cluster called `name`. Raises BadInput for hosts and folders that do not go together."""
    hosts = [asked.head, *asked.worker]
    twice = {host for host in hosts if hosts.count(host) > 1}
    if twice:
        raise BadInput(f"--worker {min(twice)}: stands twice; a host holds the head or one worker, each its own")
    mounts = asked.mount or (() if is_remote(driver.storage) else (driver.storage,))
    if not is_remote(driver.storage) and not any(_holds(mount, driver.storage) for mount in mounts):
        raise BadInput(
            f"--storage {driver.storage}: lies in no folder that containers see; add --mount {driver.storage}"
        )
    variables = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    if asked.tracking_uri is not None:
        variables["MLFLOW_TRACKING_URI"] = asked.tracking_uri
    options = [f"--env={key}={value}" for key, value in variables.items()]
    options += [f"--volume={mount}:{mount}" for mount in mounts]
    sizes = [f"--num-cpus={asked.cpus}"] if asked.cpus else []
    sizes += [f"--num-gpus={asked.gpus}"] if asked.gpus is not None else []
    head = f"ray start --head --port={PORT} --num-cpus=0 --num-gpus=0 --autoscaling-config=~/ray_bootstrap_config.yaml"
    worker = " ".join([f"ray start --address=$RAY_HEAD_IP:{PORT}", *sizes])
    cluster = Cluster(
        cluster_name=name,
        provider=Provider(head_ip=asked.head, worker_ips=asked.worker),
        auth=Auth(ssh_user=asked.ssh_user, ssh_private_key=asked.ssh_key),
        docker=Docker(
            image=asked.image,
            container_name="orchestrate",
            pull_before_run="/" in asked.image,
            run_options=tuple(shlex.quote(option) for option in options),
            worker_run_options=() if asked.gpus == 0 else ("--gpus=all",),
        ),
        file_mounts={TOKEN_FILE: TOKEN_FILE},
        head_start_ray_commands=(ENDS_RAY, f"{OPEN_FILES}; {head}"),
        worker_start_ray_commands=(ENDS_RAY, f"{OPEN_FILES}; {worker}"),
        metadata=Note(driver=shlex.join(driver.words("auto"))),
    )
    return as_yaml(cluster.model_dump(mode="json"))


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
