"""Some of a sweep's architectures, as the command line asks for them, before anything else is laid over the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import BadInput, unknown_name


@dataclass(frozen=True)
class Choice:
    """Names after --architectures, in their order (none: all of the sweep's), and after --exclude."""

    only: Sequence[str] = ()
    without: Sequence[str] = ()

    def of(self, known: Sequence[str], whose: str = "this sweep") -> list[str]:
        """Return the chosen ones. Raises BadInput for a name that is none of them, and where none is left."""
        for flag, names in (("--architectures", self.only), ("--exclude", self.without)):
            for name in names:
                if name not in known:
                    raise BadInput(f"{flag}: {unknown_name(f'architecture of {whose}', name, known)}")
        chosen = [name for name in dict.fromkeys(self.only or known) if name not in self.without]
        if not chosen:
            raise BadInput(f"--exclude: leaves no architecture of {', '.join(known)}")
        return chosen


def with_chosen(raw: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """Return a sweep file's contents with the chosen architectures alone, and what the file says of these."""
    known = list(raw["architectures"])
    chosen = choice.of(known)
    gone = set(known) - set(chosen)  # what the file says of others than its own is still a fault
    search, published = raw.get("search", {}), raw.get("published", {})
    kept: dict[str, Any] = {"architectures": {name: raw["architectures"][name] for name in chosen}}
    if "enqueue" in search:
        points = {name: points for name, points in search["enqueue"].items() if name not in gone}
        kept["search"] = {**search, "enqueue": points}
    if "scores" in published:
        scores = [score for score in published["scores"] if score["architecture"] not in gone]
        kept["published"] = {**published, "scores": scores}
    return {**raw, **kept}
