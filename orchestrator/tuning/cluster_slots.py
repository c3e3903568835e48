"""How many trials the nodes of a cluster hold at once, and what each gets."""

from collections.abc import Sequence

from orchestrator.errors import BadInput
from orchestrator.tuning.cluster import Node
from orchestrator.tuning.resources import Slots, share_of


def slots_of_nodes(nodes: Sequence[Node], requested: int | None, gpu_share: float | None) -> Slots:
    """Divide the nodes: one trial per GPU, or one per CPU where there is no GPU, unless N slots were asked for.

    On CPUs a trial has as many threads as N trials leave it, on each node alike. Raises BadInput for more trials than
    the nodes hold, and for a share of a GPU where none has one.
    """
    gpus, cpus = sum(node.gpus for node in nodes), sum(node.cpus for node in nodes)
    if gpu_share is not None and not gpus:
        raise BadInput(f"--gpus-per-trial {gpu_share:g}: no node of the cluster has a GPU; leave the flag out")
    if requested is not None and requested < 1:
        raise BadInput(f"--slots {requested}: expected auto or a whole number of at least 1")
    if not gpus:
        if requested is not None and requested > cpus:
            raise BadInput(f"--slots {requested}: the nodes of the cluster have {cpus} CPUs for trials; add nodes")
        threads = 1 if requested is None else _most_threads(nodes, requested)
        return Slots(requested or cpus, threads, 0.0, 0, cpus_each=threads, most=requested)
    share = gpu_share or (1.0 if requested is None else share_of(requested, gpus))
    held = {node: min(round(node.gpus / share), node.cpus) for node in nodes if node.gpus}
    fitting = sum(held.values())
    if not fitting:
        raise BadInput(
            f"--gpus-per-trial {share:g}: no node with a GPU has a CPU for a trial; start Ray there with some"
        )
    if requested is not None and requested > fitting:
        raise BadInput(
            f"--slots {requested}: the nodes' {gpus} GPUs hold {fitting} trials of {share:g} each; take fewer"
        )
    threads = min(node.cpus // count for node, count in held.items() if count)
    return Slots(requested or fitting, threads, share, gpus, most=requested)


def _most_threads(nodes: Sequence[Node], trials: int) -> int:
    largest = max(node.cpus for node in nodes)
    return max(each for each in range(1, largest + 1) if sum(node.cpus // each for node in nodes) >= trials)
