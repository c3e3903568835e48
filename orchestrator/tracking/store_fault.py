"""Why a store cannot be sent to: it is out of reach, it refuses, or this machine is at fault; and in which words."""

import errno
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow.exceptions import MlflowException
from requests import ConnectionError as NoConnection
from requests import HTTPError
from requests import Timeout as NoAnswer
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from orchestrator.tracking.outcome import FaultKind, without_password

STORE_FAULTS = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError)  # or no driver for its kind

DRIVERS = {"psycopg": "'psycopg[binary]'"}  # package of a database's driver, where it has another name
REFUSALS = (400, 401, 403, 404, 405, 413, 422)  # HTTP statuses that the same call gets again
FAULTS_OF_FILES = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE),
)
FAULTS_OF_SQLITE = (
    "SQLITE_FULL",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR",
    "SQLITE_PERM",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
)
MOST_CHARACTERS = 200


@dataclass(frozen=True)
class StoreFault:
    """Whose fault it is that a call to a store failed, and the reason in a few words."""

    kind: FaultKind
    reason: str


def fault_of(error: BaseException) -> StoreFault:
    """Return what a failed call to a store means, told by the fault that the others came from."""
    chain = list(_chain(error))
    root = chain[-1]
    if isinstance(root, ModuleNotFoundError):
        package = DRIVERS.get(root.name or "", root.name)
        return StoreFault("local", f"{root.name} is not installed: pip install {package}")
    if _is_local(chain):
        file = f" ({root.filename})" if isinstance(root, OSError) and root.filename else ""
        return StoreFault("local", _words(root) + file)
    return StoreFault("refused" if _is_refused(chain) else "away", _words(root))


def reason_of(error: BaseException) -> str:
    """Return in a few words why a call to a store failed."""
    return fault_of(error).reason


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _is_local(chain: list[BaseException]) -> bool:
    """Tell whether files of this machine are the reason; a connection may fail with the same number of an error."""
    if any(isinstance(one, NoConnection | NoAnswer) for one in chain):
        return False
    root = chain[-1]
    if isinstance(root, sqlite3.Error):
        return getattr(root, "sqlite_errorname", "").startswith(FAULTS_OF_SQLITE)
    return isinstance(root, OSError) and root.errno in FAULTS_OF_FILES


def _is_refused(chain: list[BaseException]) -> bool:
    """Tell whether the store has answered and will not have it; MLflow says 400 of any fault of a database."""
    of_database = [one for one in chain if isinstance(one, SQLAlchemyError)]
    if of_database:
        return any(isinstance(one, ProgrammingError) for one in of_database)  # no right to a table, or no such one
    return any(_status(one) in REFUSALS for one in chain)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that a server answered, or would have answered, with."""
    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    if isinstance(error, HTTPError) and error.response is not None:  # of an artifact
        return int(error.response.status_code)
    return None


def _words(root: BaseException) -> str:
    words = root.strerror if isinstance(root, OSError) and root.strerror else str(root).strip()
    return without_password((words or type(root).__name__).splitlines()[0])[:MOST_CHARACTERS]
