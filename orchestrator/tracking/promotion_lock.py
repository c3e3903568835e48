"""One promotion of a task at a time: aliases have no compare-and-set, but a name in the registry is given only once."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from orchestrator.errors import PromotionRefused

EXPIRES_AFTER_S = 600.0
ENDING = ".promotion-lock"
OWNER, BY, EXPIRES = "orchestrate.owner", "orchestrate.by", "orchestrate.expires_at"


@contextmanager
def promotion_lock(client: MlflowClient, name: str, who: str, owner: str | None = None) -> Iterator[Callable[[], bool]]:
    """Hold the task's lock for the block, which gets a function that tells whether it still does.

    An `owner` that is given gets in again where it was broken off. Raises PromotionRefused where another holds the
    lock, naming who and until when.
    """
    lock, owner = f"{name}{ENDING}", owner or uuid.uuid4().hex
    if not _create(client, lock, owner, who) and _tags(client, lock).get(OWNER) != owner:
        _take_over_expired(client, lock, owner, who)
        if not _create(client, lock, owner, who):
            raise PromotionRefused(_held(client, name, lock))

    def is_held() -> bool:
        return _tags(client, lock).get(OWNER) == owner

    try:
        yield is_held
    finally:
        with contextlib.suppress(MlflowException):  # of a store that has gone: it expires
            if is_held():  # it may have expired and be another's
                client.delete_registered_model(lock)


def locks_in_words(client: MlflowClient) -> list[str]:
    """Return a line for each lock of the store: who holds it until when, or that it was left behind."""
    found = client.search_registered_models(filter_string=f"name LIKE '%{ENDING}%'")
    return [_in_words(lock.name, dict(lock.tags)) for lock in found]


def _in_words(name: str, tags: dict[str, str]) -> str:
    if _is_over(tags):
        return f"{name} was left behind, the next promotion takes it over"
    return f"{name} is held by {tags.get(BY, 'somebody')} until {_end(tags)} at most; a promotion waits for that"


def _create(client: MlflowClient, lock: str, owner: str, who: str) -> bool:
    tags = {OWNER: owner, BY: who, EXPIRES: f"{time.time() + EXPIRES_AFTER_S:.3f}"}
    try:
        client.create_registered_model(lock, tags, "held while a promotion decides; it deletes it itself")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def _take_over_expired(client: MlflowClient, lock: str, owner: str, who: str) -> None:
    """Delete a lock whose time is over, one at a time: who comes second must not delete the first one's new lock."""
    expired, takeover = _tags(client, lock), f"{lock}.takeover"
    if not _is_over(expired):
        return
    if not _create(client, takeover, owner, who):
        if _is_over(_tags(client, takeover)):  # of one who died in between
            with contextlib.suppress(MlflowException):
                client.delete_registered_model(takeover)
        return
    try:
        if _tags(client, lock) == expired:
            with contextlib.suppress(MlflowException):
                client.delete_registered_model(lock)
    finally:
        with contextlib.suppress(MlflowException):
            client.delete_registered_model(takeover)


def _is_over(tags: dict[str, str]) -> bool:
    try:
        return float(tags[EXPIRES]) < time.time()
    except (KeyError, ValueError):
        return False


def _tags(client: MlflowClient, lock: str) -> dict[str, str]:
    try:
        return dict(client.get_registered_model(lock).tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}


def _held(client: MlflowClient, name: str, lock: str) -> str:
    tags = _tags(client, lock)
    by, until = tags.get(BY, "somebody"), _end(tags)
    return f"{name}: another promotion is under way (by {by}, its lock {lock} holds until {until} at most); try again"


def _end(tags: dict[str, str]) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(tags[EXPIRES])))
    except (KeyError, ValueError):
        return "it is deleted"
