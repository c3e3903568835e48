"""One promotion of a task at a time: aliases have no compare-and-set, but a name in the registry is given only once."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from orchestrator.errors import PromotionRefused

EXPIRES_AFTER_S = 600.0
OWNER, BY, EXPIRES = "orchestrate.owner", "orchestrate.by", "orchestrate.expires_at"


@contextmanager
def promotion_lock(client: MlflowClient, name: str, who: str) -> Iterator[None]:
    """Hold the task's lock for the block. Raises PromotionRefused where another holds it, naming who and until when."""
    lock, owner = f"{name}.promotion-lock", uuid.uuid4().hex
    if not _create(client, lock, owner, who):
        _take_over_expired(client, lock, owner, who)
        if not _create(client, lock, owner, who):
            raise PromotionRefused(_held(client, name, lock))
    try:
        yield
    finally:
        if _tags(client, lock).get(OWNER) == owner:  # it may have expired and be another's
            with contextlib.suppress(MlflowException):
                client.delete_registered_model(lock)


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
    expired = _tags(client, lock)
    if not _is_over(expired) or not _create(client, f"{lock}.takeover", owner, who):
        return
    try:
        if _tags(client, lock) == expired:
            with contextlib.suppress(MlflowException):
                client.delete_registered_model(lock)
    finally:
        client.delete_registered_model(f"{lock}.takeover")


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
    try:
        until = time.strftime("%H:%M:%S", time.localtime(float(tags[EXPIRES])))
    except (KeyError, ValueError):
        until = "it is deleted"
    by = tags.get(BY, "somebody")
    return f"{name}: another promotion is under way (by {by}, its lock {lock} holds until {until} at most); try again"
