"""The conditions that a model must meet before it is used, as a file."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.yaml_file import read_yaml
from trainables.catalog import TASKS

DEFAULT_POLICY = Path(__file__).with_name("default_policy.yaml")
POLICY_FILE = "promotion.yaml"

Share = Annotated[float, Field(ge=0, le=1)]


class Policy(BaseModel):
    """The rules for one task; None turns a check off. `mlflow/promotion.yaml` says what each means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    better_than_chance: bool
    most_miscalibration: Annotated[float, Field(ge=0)] | None
    leaks_allowed: bool
    least_sensitivity: Share | None
    least_specificity: Share
    least_modality_auroc: Share | None
    least_modality_images: Annotated[int, Field(ge=1)]
    sane_explanations: bool
    level: Annotated[float, Field(gt=0, lt=1)]
    modality_margin: Share
    margin: Share
    cheaper_fraction: Annotated[float, Field(gt=0, lt=1)] | None


def policy_file(home: Home) -> Path:
    """Return the file that a sweep's winner is judged by: the home's own, else the packaged one."""
    own = home.root / POLICY_FILE
    return own if own.exists() or own.is_symlink() else DEFAULT_POLICY


def read_policy(path: Path, task: str) -> Policy:
    """Return the rules for a task; what a file does not say is as in the packaged one.

    Raises BadInput with the file and the key.
    """
    values = dict(read_yaml(DEFAULT_POLICY)["default"])
    if path != DEFAULT_POLICY:
        given = read_yaml(path, "default and tasks")
        unknown = [str(key) for key in given if key not in ("default", "tasks")]
        if unknown:
            raise BadInput(f"{path.name}: {unknown_name('key', unknown[0], ('default', 'tasks'))}")
        tasks = _mapping(path, "tasks", given.get("tasks"))
        for name in tasks:
            if name not in TASKS:
                raise BadInput(f"{path.name}: tasks: {unknown_name('task', str(name), TASKS)}")
        _update(path, "default", values, _mapping(path, "default", given.get("default")))
        _update(path, f"tasks.{task}", values, _mapping(path, f"tasks.{task}", tasks.get(task)))
    return Policy(**values)


def _mapping(path: Path, key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{path.name}: {key}: expected rules such as level: 0.05, got {str(value)[:60]!r}")
    return value


def _update(path: Path, where: str, values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Take changes over, each checked where it stands."""
    for key, value in changes.items():
        if key not in Policy.model_fields:
            raise BadInput(f"{path.name}: {where}: {unknown_name('rule', str(key), Policy.model_fields)}")
        try:
            Policy(**{**values, key: value})
        except ValidationError as error:
            raise BadInput(f"{path.name}: {where}.{key}: {error.errors()[0]['msg']}, got {value!r}") from None
        values[key] = value
