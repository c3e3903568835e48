"""Flags of `orchestrate sweep` and `resume`: texts in, values out."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.flags import one_of, settings
from orchestrator.errors import BadInput
from orchestrator.sweep_sections import ALLOCATIONS, PRESETS, Preset

if TYPE_CHECKING:
    from orchestrator.object_store import ObjectStore

GPU_SHARES = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def names(flag: str, text: str | None) -> tuple[str, ...]:
    """Return names with commas between them, none where the flag was left out. Raises BadInput."""
    found = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not found:
        raise BadInput(f"{flag} {text}: expected names, with commas between them")
    return found


def preset_of(value: str) -> Preset | None:
    """Return a preset, None for auto. Raises BadInput."""
    if value == "auto":
        return None
    chosen: Preset = one_of("--preset", value, (*PRESETS, "auto"))
    return chosen


def slots_of(value: str) -> int | None:
    """Return a number of slots, None for auto. Raises BadInput."""
    if value == "auto":
        return None
    if not re.fullmatch(r"-?[0-9]{1,6}", value):
        raise BadInput(f"--slots {value}: expected auto or a whole number of at least 1")
    return int(value)


def gpu_share(value: str) -> float | None:
    """Return the share of a GPU, given as a fraction or a number, None for auto. Raises BadInput."""
    if value == "auto":
        return None
    try:
        share = GPU_SHARES[value] if value in GPU_SHARES else float(value)
    except ValueError:
        share = math.nan
    if share > 1:
        raise BadInput(
            f"--gpus-per-trial {value}: a trial trains on one GPU; give auto or one of {', '.join(GPU_SHARES)}"
        )
    if share not in GPU_SHARES.values():
        raise BadInput(f"--gpus-per-trial {value}: expected auto or one of {', '.join(GPU_SHARES)}")
    return share


def max_disk_bytes(value: str | None) -> int | None:
    """Return a limit, None where the flag was left out. Raises BadInput."""
    from orchestrator.cli import environment

    if value is None:
        return None
    size = environment.size_bytes("--max-disk", value)
    if size == 0:
        raise BadInput(f"--max-disk={value}: expected more than nothing, e.g. 20GiB; leave it out for no limit")
    return size


def storage_of(value: str | None) -> "Path | ObjectStore | None":
    """Return the folder or object store that holds a sweep, None where the flag was left out. Raises BadInput."""
    if value is None:
        return None
    kind, sign, rest = value.partition("://")
    if sign and kind != "file":
        from orchestrator.object_store import object_store

        return object_store(value)
    if not (rest if sign else value):
        raise BadInput(f"--storage={value}: is empty; name a folder that all nodes share, or a bucket")
    folder = Path(rest if sign else value).absolute()
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadInput(f"--storage {value}: is no folder; name one, on a file system that all nodes share")
    if not folder.is_dir():
        raise BadInput(f"--storage {value}: no such folder; make it, on a file system that all nodes share")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"--storage {value}: cannot be written; name another folder, or give this user the right")
    return folder


def flag_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the texts of `sweep`'s flags mean, by the names of a request; nothing else is asked for it.

    `given` has them by the names of the command's parameters. Raises BadInput.
    """
    if given["metric"] is not None:
        from orchestrator.sweep_planning import check_metric_name

        check_metric_name(given["metric"])
    return {
        "preset": preset_of(given["preset"]),
        "slots": slots_of(given["slots"]),
        "gpu_share": gpu_share(given["gpus_per_trial"]),
        "split": one_of("--split", given["split"], ("shipped", "grouped")),
        "weights": one_of("--weights", given["weights"], ("pretrained", "random")),
        "allocation": one_of("--allocation", given["allocation"], ALLOCATIONS),
        "overrides": settings(given["overrides"] or []),
        "architectures": names("--architectures", given["architectures"]),
        "exclude": names("--exclude", given["exclude"]),
        "time_budget_s": None if given["time_budget"] is None else seconds(given["time_budget"]),
        "max_disk_bytes": max_disk_bytes(given["max_disk"]),
    }


def seconds(value: str) -> float:
    """Return a time budget. Raises BadInput."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(s|m|min|h|d)", value.strip())
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise BadInput(f"--time-budget {value}: expected a time such as 90m or 2h")
    return seconds
