"""Before the first trial: every architecture takes a few steps, and what it needs decides the size of its slots."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from orchestrator.cluster_sweep import check_on_cluster
from orchestrator.errors import BadInput
from orchestrator.forecast import least_disk_bytes
from orchestrator.inspecting.architectures import batch_growth, check_architecture
from orchestrator.inspecting.machine import gpu_memories_mib
from orchestrator.journal import ArchitectureChecked
from orchestrator.space import Space
from orchestrator.sweep_planning import PlannedSweep
from orchestrator.sweep_request import SweepRequest
from orchestrator.sweep_state import SweepState


def check_architectures(planned: PlannedSweep, known: SweepState | None = None) -> list[ArchitectureChecked]:
    """Build every architecture that is not known yet and let it take a few steps. Raises BadInput."""
    plan, device = planned.plan, planned.slots.device
    unknown = {name: space for name, space in plan.architectures.items() if known is None or name not in known.checked}
    if planned.nodes:
        return check_on_cluster(planned, unknown)
    pretrained = plan.weights == "pretrained"
    return [
        check_architecture(name, space, plan.classes, pretrained, planned.data.development, device)
        for name, space in unknown.items()
    ]


def with_packed_slots(planned: PlannedSweep, request: SweepRequest, checked: list[ArchitectureChecked]) -> PlannedSweep:
    """Return the plan with slots as large as each architecture needs, where the user left that open.

    With `allocation: adaptive` all are as large as the largest: one study chooses among them. Raises BadInput where the
    trials of so many slots need more disk than they may have.
    """
    from orchestrator.tuning.cluster_slots import slots_of_nodes
    from orchestrator.tuning.resources import find_slots, packed_slots

    plan, slots = planned.plan, planned.slots
    if slots.gpus and request.slots is None and request.gpu_share is None:
        peaks_mib = {event.architecture: _peak_mib(event, plan.architectures) for event in checked}
        if plan.search.allocation == "adaptive":
            peaks_mib = dict.fromkeys(peaks_mib, max(peaks_mib.values()))
        slots = packed_slots(
            peaks_mib,
            planned.cards_mib or gpu_memories_mib(),
            partial(slots_of_nodes, planned.nodes, None) if planned.nodes else partial(find_slots, None, slots.gpus),
        )
    need_bytes, at_once = max(
        (least_disk_bytes(event.total_parameters, at_once, plan.budget), at_once)
        for event in checked
        for at_once in [slots.at_once(event.architecture)]
    )
    if request.max_disk_bytes is not None and need_bytes > request.max_disk_bytes:
        raise BadInput(
            f"--max-disk: {at_once} trials at once need {need_bytes / 2**20:.0f} MiB for their states and weights; "
            "give more, or take fewer --slots"
        )
    return replace(planned, slots=slots)


def _peak_mib(event: ArchitectureChecked, spaces: Mapping[str, Space]) -> float:
    """Return the memory that a trial of an architecture may need, with its largest batch."""
    if event.peak_memory_mib is None:
        return math.inf
    return event.peak_memory_mib * batch_growth(event.architecture, spaces[event.architecture])
