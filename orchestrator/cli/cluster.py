"""`orchestrate cluster manifest kuberay|launcher|slurm`: a file that starts a sweep on many machines."""

import errno
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.manifests.request import Driver

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Files that start a sweep on many machines.")
manifest = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write one: a RayJob for Kubernetes, a cluster for `ray up`, a batch script for Slurm. "
    "Flags of `orchestrate sweep` follow after --.",
)
app.add_typer(manifest, name="manifest")

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MIB, LEAST_MIB, MOST_MIB = 2**20, 2**10, 2**26

Sweep = Annotated[
    str, typer.Argument(metavar="NAME|FILE.yaml", help="a file: found on the cluster under the same path")
]
Flags = Annotated[list[str] | None, typer.Argument(metavar="-- FLAG", help="flags of orchestrate sweep")]
SweepId = Annotated[str | None, typer.Option("--id", help="the sweep's id; else its name and the time")]
Storage = Annotated[str, typer.Option(help="for journal and checkpoints; every node sees it", metavar="PATH|URI")]
Out = Annotated[Path | None, typer.Option(help="a new file; by default it is printed", metavar="FILE")]
Gpus = Annotated[int, typer.Option(help="GPUs of each worker; 0 trains on CPUs")]
Workers = Annotated[int, typer.Option(help="nodes that train")]
Cpus = Annotated[int, typer.Option(help="CPUs of each worker")]
Memory = Annotated[str, typer.Option(help="memory of each worker", metavar="SIZE")]
ImageName = Annotated[str | None, typer.Option(help="by default as README builds it")]
TrackingUri = Annotated[
    str | None, typer.Option(help="the team's MLflow server; by default MLFLOW_TRACKING_URI", metavar="URI")
]


@manifest.command("kuberay")
def kuberay(
    name: Sweep,
    flags: Flags = None,
    gpus: Gpus = 1,
    workers: Workers = 1,
    min_workers: Annotated[int, typer.Option(help="workers that stay when there is nothing to train")] = 1,
    cpus: Cpus = 8,
    memory: Memory = "32GiB",
    image: ImageName = None,
    storage: Storage = "/shared/orchestrate",
    claim: Annotated[str, typer.Option(help="the volume claim that pods see at /shared")] = "orchestrate",
    namespace: Annotated[str | None, typer.Option(help="else that of kubectl")] = None,
    token_secret: Annotated[str, typer.Option(help="Secret with Ray's token as auth_token")] = "orchestrate-token",
    env_secret: Annotated[str, typer.Option(help="Secret with further variables, may be none")] = "orchestrate-env",
    tracking_uri: TrackingUri = None,
    sweep_id: SweepId = None,
    out: Out = None,
) -> None:
    """Write a RayJob of KubeRay (1.6 or newer): the cluster ends with the sweep, and a lost head begins a new one."""
    from orchestrator.manifests.kuberay import KubeRayRequest, kuberay_manifest
    from orchestrator.manifests.request import checked, plain_name

    driver = _driver(name, sweep_id, storage, flags or [])
    server = _image_and_server(image, tracking_uri)
    asked = {
        "gpus": gpus,
        "workers": workers,
        "min_workers": min_workers,
        "cpus": cpus,
        "memory": _mib(memory),
        "namespace": namespace,
        "claim": claim,
        "token_secret": token_secret,
        "env_secret": env_secret,
        **server,
    }
    driver = driver.model_copy(update={"nodes": max(1, min_workers)})
    _write(kuberay_manifest(checked(KubeRayRequest, asked), driver), out)
    _tell_without_server(server)
    space = f" --namespace {namespace}" if namespace else ""
    _tell(driver, out, "kubectl apply --filename {file}", f"kubectl get rayjob {plain_name(driver.id)}{space} --watch")


@manifest.command("launcher")
def launcher(
    name: Sweep,
    flags: Flags = None,
    head: Annotated[str, typer.Option(help="host of the head; no trial runs there", metavar="HOST")] = "",
    worker: Annotated[list[str] | None, typer.Option(help="host that trains; once for each", metavar="HOST")] = None,
    ssh_user: Annotated[str, typer.Option(help="on all hosts")] = "ubuntu",
    ssh_key: Annotated[str, typer.Option(help="its private key, here", metavar="FILE")] = "~/.ssh/id_ed25519",
    mount: Annotated[
        list[str] | None, typer.Option(help="folder of hosts that containers see, too; by default --storage")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs of each worker, 0 where there are none; else all")] = None,
    cpus: Annotated[int | None, typer.Option(help="CPUs of each worker; else those there are")] = None,
    image: ImageName = None,
    storage: Storage = "",
    tracking_uri: TrackingUri = None,
    sweep_id: SweepId = None,
    out: Out = None,
) -> None:
    """Write a cluster for `ray up` on hosts that are there, reached by ssh, in containers."""
    from orchestrator.manifests.launcher import LauncherRequest, launcher_manifest
    from orchestrator.manifests.request import checked, plain_name

    driver = _driver(name, sweep_id, storage, flags or [])
    if not head or not worker:
        raise BadInput("launcher: say which hosts: --head HOST --worker HOST [--worker HOST ...]")
    server = _image_and_server(image, tracking_uri)
    asked = {
        "head": head,
        "worker": tuple(worker),
        "ssh_user": ssh_user,
        "ssh_key": ssh_key,
        "gpus": gpus,
        "cpus": cpus,
        "mount": tuple(mount or []),
        **server,
    }
    driver = driver.model_copy(update={"nodes": len(worker)})
    _write(launcher_manifest(checked(LauncherRequest, asked), driver, plain_name(driver.id)), out)
    _tell_without_server(server)
    _tell(driver, out, "ray up {file}", "ray exec {file} COMMAND, where COMMAND is its metadata.driver")


@manifest.command("slurm")
def slurm(
    name: Sweep,
    flags: Flags = None,
    gpus: Gpus = 1,
    workers: Workers = 1,
    cpus: Cpus = 8,
    memory: Memory = "32GiB",
    time: Annotated[str, typer.Option(help="of one job; the sweep goes on in the next", metavar="TIME")] = "24:00:00",
    partition: Annotated[str | None, typer.Option(help="else the cluster's own")] = None,
    account: Annotated[str | None, typer.Option(help="else your own")] = None,
    storage: Storage = "",
    sweep_id: SweepId = None,
    out: Out = None,
) -> None:
    """Write a batch script for sbatch; a job whose time is up puts itself back and goes on with the sweep."""
    from orchestrator.manifests.request import checked
    from orchestrator.manifests.slurm import SlurmRequest, slurm_manifest

    driver = _driver(name, sweep_id, storage, flags or [])
    asked = {
        "gpus": gpus,
        "workers": workers,
        "cpus": cpus,
        "memory": _mib(memory),
        "time": time,
        "partition": partition,
        "account": account,
    }
    _write(slurm_manifest(checked(SlurmRequest, asked), driver), out)
    _tell(driver, out, "sbatch {file}", "squeue --me")


def _driver(name: str, sweep_id: str | None, storage: str, flags: list[str]) -> "Driver":
    from orchestrator.cli import sweeps
    from orchestrator.cli.sweep_flags import flag_values
    from orchestrator.manifests.request import Driver, checked, named_sweep

    called, new_id = named_sweep(name)
    if not storage:
        raise BadInput(
            "--storage: say where every node sees journal and checkpoints: a whole path, or s3://bucket/path"
        )
    values = {"sweep": called, "id": sweep_id or new_id, "storage": storage, "flags": tuple(flags)}
    driver = checked(Driver, values)
    alone = typer.Typer(rich_markup_mode=None)
    alone.command("sweep")(sweeps.sweep)
    command = typer.main.get_command(alone)
    asked = command.make_context("sweep", [name, *flags])  # a misspelt flag is told now, not when nodes were waited for
    if asked.params["sweeps"] != [name]:
        raise BadInput(f"{' '.join(asked.params['sweeps'])}: one sweep for each manifest")
    flag_values(asked.params)
    return driver


def _mib(memory: str) -> int:
    from orchestrator.cli import environment

    size_mib = environment.size_bytes("--memory", memory) // MIB
    if not LEAST_MIB <= size_mib <= MOST_MIB:
        raise BadInput(f"--memory={memory}: expected from 1GiB to 64TiB")
    return size_mib


def _image_and_server(image: str | None, tracking_uri: str | None) -> dict[str, Any]:
    from orchestrator.cli import environment
    from orchestrator.manifests.request import default_image
    from orchestrator.tracking.outcome import without_password

    given = environment.tracking_uri() if tracking_uri is None else tracking_uri
    where = "MLFLOW_TRACKING_URI" if tracking_uri is None else "--tracking-uri"
    if given is None or (tracking_uri is None and not given.startswith(("http://", "https://"))):
        return {"image": image or default_image(), "tracking_uri": None}
    shown = without_password(environment.store_uri(where, given))
    if not given.startswith(("http://", "https://")):
        raise BadInput(f"{where}={shown}: expected http:// or https:// of a server that all nodes reach")
    if shown != given:
        raise BadInput(f"{where}={shown}: holds a password; put it into MLFLOW_TRACKING_PASSWORD there, see README")
    if urlsplit(given).hostname in LOOPBACK:
        raise BadInput(f"{where}={shown}: is another machine on each node; name the server's own address")
    return {"image": image or default_image(), "tracking_uri": given}


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                out.unlink()  # half a file
                raise
    except FileExistsError:
        raise BadInput(f"--out {out}: is there already; remove it, or name another file") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadInput(f"--out {out}: {error.strerror or error}; name a file in a folder that can be written") from None


def _tell_without_server(asked: Mapping[str, Any]) -> None:
    from orchestrator.cli.console import messages

    if asked["tracking_uri"] is None:
        messages().print(
            "no MLflow server is named (--tracking-uri): runs and models end with the cluster; "
            "the journal in --storage stays",
            soft_wrap=True,
        )


def _tell(driver: "Driver", out: Path | None, *commands: str) -> None:
    from orchestrator.cli.console import messages

    file = "FILE" if out is None else str(out)
    messages().print(f"sweep {driver.id}", soft_wrap=True)
    for command in commands:
        messages().print(f"    {command.format(file=file)}", soft_wrap=True)
