"""What manifests of every kind are made of: the command of the sweep's driver, and values that are checked once."""

import hashlib
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from orchestrator.errors import BadInput
from orchestrator.home import SWEEP_ID, new_sweep_id
from orchestrator.object_store import PACKAGES, is_address
from orchestrator.sweep_files import find_sweep_file
from orchestrator.yaml_file import shortened

OWN_FLAGS = ("--id", "--address", "--storage")
MOST_NAME = 47  # of a RayJob: KubeRay appends what Kubernetes allows


def matching(pattern: str, rule: str) -> AfterValidator:
    """Return a check that a text is all of a pattern; `rule` says it in words."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"expected {rule}")
        return value

    return AfterValidator(check)


def whole(low: int, high: int) -> AfterValidator:
    """Return a check that a number lies in [low, high]."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return AfterValidator(check)


def shared_place(value: str) -> str:
    """Return what can hold a sweep for every node: a whole path, or a bucket. Raises ValueError for anything else."""
    is_uri = "://" in value
    if not is_uri and not value.startswith("/"):
        raise ValueError("expected a whole path that every node sees, or a URI such as s3://bucket/sweeps")
    if is_uri and not is_address(value):
        raise ValueError(f"expected the URI of an object store ({', '.join(PACKAGES)}), such as s3://bucket/sweeps")
    if ".." in value.split("/"):
        raise ValueError("expected a place without ..")
    return _one_line(value)


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be seen")
    return value


def _no_own_flags(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value.partition("=")[0] in OWN_FLAGS:
            raise ValueError(f"{value.partition('=')[0]} is the manifest's own; give it before the --")
        if "\0" in value:
            raise ValueError("holds a character that no command takes")
    return values


def _sweep_id(value: str) -> str:
    if not SWEEP_ID.fullmatch(value):
        raise ValueError("expected up to 100 letters, digits, points, dashes and underscores")
    return value


Line = Annotated[str, AfterValidator(_one_line)]
Storage = Annotated[str, AfterValidator(shared_place)]
Image = Annotated[str, matching(r"[A-Za-z0-9][\w.:/@-]{0,254}", "the name of an image, such as registry/name:tag")]
NumGpus = Annotated[int, whole(0, 64)]
NumCpus = Annotated[int, whole(1, 4096)]
MemoryMiB = Annotated[int, whole(1, 2**26)]
NumNodes = Annotated[int, whole(1, 10_000)]


class Driver(BaseModel):
    """The command that runs the sweep: started again, it goes on with the sweep of its id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sweep: Line
    id: Annotated[str, AfterValidator(_sweep_id)]
    storage: Storage
    flags: Annotated[tuple[str, ...], AfterValidator(_no_own_flags)] = ()
    nodes: int = 0  # that should be there before it begins

    def words(self, *address: str) -> list[str]:
        """Return the command as words, with `--address` and its value where they are given."""
        own = ["--id", self.id, "--storage", self.storage]
        own += ["--wait-for-nodes", str(self.nodes)] if self.nodes else []
        return ["orchestrate", "sweep", self.sweep, *own, *(["--address", *address] if address else []), *self.flags]


Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return values as a model. Raises BadInput with a line for each one that breaks its rule, named by its flag."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            flag, given = str(fault["loc"][0]).replace("_", "-"), fault["input"]
            shown = f"--{flag}" if isinstance(given, tuple) else f"--{flag} {shortened(given)}"  # its reason names one
            lines.append(f"{'after --' if flag == 'flags' else shown}: {fault['msg'].removeprefix('Value error, ')}")
        raise BadInput("\n".join(lines)) from None


def named_sweep(name: str) -> tuple[str, str]:
    """Return what the driver calls a sweep, a file by its whole path, and an id for it, unlike any other.

    Raises BadInput for an unknown sweep.
    """
    path = find_sweep_file(name)
    new_id = new_sweep_id(path.stem.replace("_", "-"))
    return str(Path(name).absolute()) if name.endswith((".yaml", ".yml")) else name, new_id


def plain_name(sweep_id: str) -> str:
    """Return an id as Kubernetes takes names: as it is, or where that cannot be, spelt anew and still unique."""
    if re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", sweep_id, re.ASCII) and len(sweep_id) <= MOST_NAME:
        return sweep_id
    digest = hashlib.sha256(sweep_id.encode()).hexdigest()[:8]
    spelt = re.sub(r"[^a-z0-9]+", "-", sweep_id.lower()).strip("-")
    letters = spelt if spelt[:1].isalpha() else f"sweep-{spelt}"
    return f"{letters[: MOST_NAME - len(digest) - 1].strip('-')}-{digest}"


def is_remote(storage: str) -> bool:
    """Tell whether a storage is an object store, which needs no volume."""
    return "://" in storage


def default_image() -> str:
    """Return the name that README builds the image under."""
    return f"orchestrate:{version('medical-orchestrate')}"


def as_yaml(values: Mapping[str, Any]) -> str:
    """Return plain values as YAML, keys in their order; a text stays one for every reader."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_implicit_resolver(  # kubectl reads 1e3 and 0o7 as numbers, as YAML 1.2 says; in quotes they are texts
    "tag:yaml.org,2002:float", re.compile(r"[-+.]?[0-9][-+.0-9_]*[eE][-+]?[0-9]+$|0o?[0-9]+$"), list("-+.0123456789")
)
