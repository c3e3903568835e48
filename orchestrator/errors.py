"""Errors meant for users: each is one line (or one line per fault) and carries its exit code."""

from collections.abc import Iterable
from difflib import get_close_matches


class OrchestratorError(Exception):
    """Something the user can act on; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class BadInput(OrchestratorError):
    """A wrong flag, file, folder or name: what was given, where, the rule, the way out."""

    exit_code = 2


class NoUsableTrial(OrchestratorError):
    """The sweep ended and no trial can be evaluated."""

    exit_code = 3


class PromotionRefused(OrchestratorError):
    """A model may not take the champion's place, or its evidence does not hold; nothing was moved."""

    exit_code = 4


class EvidenceAltered(BadInput):
    """A version's files are not those that were registered: nothing may rest on them."""

    exit_code = PromotionRefused.exit_code


class DiskFull(OrchestratorError):
    """No room for another line or weight; what was finished is kept, and the sweep can be resumed."""


class Interrupted(OrchestratorError):
    """The user ended the sweep; what was finished is kept."""

    exit_code = 130


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    near = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"no {kind} {name!r}; {hint}Known: {', '.join(names) or 'none'}"
