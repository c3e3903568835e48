"""What a sweep on several machines needs beyond one on this machine alone: checked before its first trial."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.inspecting.architectures import check_architecture, check_weights
from orchestrator.journal import ArchitectureChecked
from orchestrator.object_store import ObjectStore
from orchestrator.shared_path import network_type
from orchestrator.space import Space
from orchestrator.sweep_planning import PlannedSweep
from orchestrator.sweep_request import LOCAL, SweepRequest
from orchestrator.words import counted


def ready_cluster(planned: PlannedSweep, request: SweepRequest, storage: Path | ObjectStore) -> PlannedSweep:
    """Return the plan with what its nodes' GPUs hold, once every node is found fit and can ask this machine for images.

    `storage` holds the sweep's folder. Raises BadInput that names a node at fault, and as `require_safe_store`.
    """
    from orchestrator.tuning.node_checks import Needs, check_nodes
    from orchestrator.tuning.shipping import serve_driver_files

    require_safe_store(request)
    plan, parts = planned.plan, (planned.data.development, planned.data.test)
    arrays: dict[Path, str] = {}
    for part in parts:
        digests = part.array_digests
        arrays |= {path: digests[view] for view, path in part.arrays.items()}
    has_weights = partial(check_weights, plan.architectures, pretrained=True) if plan.weights == "pretrained" else None
    reports = check_nodes(planned.nodes, storage, Needs(tuple(plan.architectures), arrays, has_weights))
    serve_driver_files()
    return replace(planned, cards_mib=tuple(mib for report in reports for mib in report.cards_mib))


def require_safe_store(request: SweepRequest) -> None:
    """Raise BadInput for an MLflow store in a SQLite file on a network file system, where its log does not work."""
    uri, home, own_disk = request.tracking_uri, request.home, "on this machine's own disk"
    if uri is None:
        told, file = f"ORCHESTRATE_HOME={home.root}", home.mlflow
        way_out = f"ORCHESTRATE_HOME to a folder {own_disk} and --storage to the shared one"
    elif uri.startswith("sqlite"):
        told, file, way_out = f"MLFLOW_TRACKING_URI={uri}", Path(uri.partition("///")[2]), f"it to a file {own_disk}"
    else:
        return
    kind = network_type(file)
    if kind:
        raise BadInput(
            f"{told}: is on {kind}, where an MLflow store in a SQLite file would be damaged; set MLFLOW_TRACKING_URI "
            f"to a server's http(s) address, or {way_out}"
        )


@contextmanager
def let_go_where_it_fails(address: str) -> Iterator[None]:
    """Let the cluster go that planning attached to, where the sweep does not come to its first trial."""
    try:
        yield
    except BaseException:
        if address != LOCAL:
            from orchestrator.tuning.cluster import detach

            detach()
        raise


def check_on_cluster(planned: PlannedSweep, spaces: dict[str, Space]) -> list[ArchitectureChecked]:
    """Let architectures take their first steps where trials run, see check_architecture. Raises BadInput."""
    from orchestrator.tuning.preflight import check_on_nodes

    plan = planned.plan
    pretrained, device = plan.weights == "pretrained", planned.slots.device
    checks = [
        partial(check_architecture, name, space, plan.classes, pretrained, device=device)
        for name, space in spaces.items()
    ]
    return check_on_nodes(checks, planned.data.development, planned.slots)


def nodes_in_words(planned: PlannedSweep) -> str:
    """Return "3 nodes (2 x 8 CPUs and 1 GPU, 1 x 16 CPUs)"."""
    alike = Counter((node.cpus, node.gpus) for node in planned.nodes)
    kinds = [
        f"{count} x {counted(cpus, 'CPU')}" + (f" and {counted(gpus, 'GPU')}" if gpus else "")
        for (cpus, gpus), count in alike.items()
    ]
    return f"{counted(len(planned.nodes), 'node')} ({', '.join(kinds)})"
