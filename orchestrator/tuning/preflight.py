"""The preflight of a cluster: each architecture's first steps on a node that trials run on, not on the driver's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from orchestrator.errors import BadInput
from orchestrator.journal import ArchitectureChecked
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.shipping import on_this_node
from trainables.errors import first_line

if TYPE_CHECKING:
    from trainables.data.prepare import PreparedPart

Check = Callable[["PreparedPart"], ArchitectureChecked]


def check_on_nodes(checks: Sequence[Check], development: "PreparedPart", slots: Slots) -> list[ArchitectureChecked]:
    """Run every check with the room of a trial. Raises BadInput as a check does, and for faults of nodes."""
    task: Any = ray.remote(num_cpus=slots.cpus_each, num_gpus=slots.gpu_share)(_check)
    digests = development.array_digests if checks else {}
    waiting = [task.remote(check, development, digests) for check in checks]
    try:
        checked: list[ArchitectureChecked] = ray.get(waiting)
        return checked
    except RayTaskError as error:
        if isinstance(error.cause, BadInput):
            raise BadInput(str(error.cause)) from error
        cause = first_line(error.cause or error)
        raise BadInput(
            f"the first steps on the cluster: {cause}; orchestrate doctor on its nodes may say why"
        ) from error
    except RayError as error:
        raise BadInput(f"a node was lost before the first trial ({first_line(error)}); start again") from error


def _check(check: Check, development: "PreparedPart", digests: dict[str, str]) -> ArchitectureChecked:
    here = {view: on_this_node(path, digests[view]) for view, path in development.arrays.items()}
    return check(replace(development, arrays=here))
