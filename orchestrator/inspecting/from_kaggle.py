"""Kaggle's public sets by its own library, which is an extra of the install."""

import errno
import logging
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestrator.inspecting.fetch_errors import HOST_TIMEOUT_S, NotFetched, Spoiled

INSTALL = "pip install -c constraints.txt -e '.[kaggle]'"
TOKEN = (
    "make a token (kaggle.com -> Settings -> API) and set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, "
    "or keep it in ~/.kaggle/kaggle.json"
)
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)
# what unpacking meets where the archive's names cannot stand side by side, or its stream breaks; no fault of the disk
_OF_ARCHIVES = (None, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
READ_TIMEOUT_S = 120.0  # Kaggle may take long to begin an archive that nobody has asked for lately


def from_kaggle(name: str, kept: Path) -> Path:
    """Download a set and unpack it below `kept`, going on with what is there; return its folder.

    Raises NotFetched, and Spoiled for an archive that is damaged.
    """
    try:
        import kagglehub
        import requests
        from kagglehub.config import get_kaggle_credentials
        from kagglehub.exceptions import DataCorruptionError
    except ImportError as error:
        raise NotFetched(f"kagglehub is not installed: {INSTALL}") from error
    # its own handler writes to what stdout was at its import; without one Python writes its warnings to stderr
    logging.getLogger("kagglehub").handlers.clear()
    try:
        has_account = get_kaggle_credentials() is not None
    except (ValueError, TypeError, OSError) as error:
        raise NotFetched(f"the kaggle.json that is here cannot be read; {TOKEN}") from error
    # It goes on with a part only in its cache, whose place it reads from nowhere but the environment. On Kaggle's and
    # Colab's machines it would else lend a folder of theirs, which is not ours to move.
    own_cache = {"KAGGLEHUB_CACHE": str(kept), "DISABLE_KAGGLE_CACHE": "true", "DISABLE_COLAB_CACHE": "true"}
    try:
        with _environment(own_cache), _time_limit():
            return Path(kagglehub.dataset_download(name))
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        raise NotFetched(_answered(status, name, has_account)) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise NotFetched(f"Kaggle cannot be reached ({type(error).__name__})") from error
    except requests.RequestException as error:
        raise NotFetched(f"the connection to Kaggle broke off ({type(error).__name__})") from error
    except (DataCorruptionError, *_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _OF_ARCHIVES:
            raise  # the disk's
        raise Spoiled(f"the archive that came from Kaggle is damaged ({type(error).__name__})") from error
    except Exception as error:  # it raises bare ones, too, for instance for a setting that it does not know
        raise NotFetched(f"kagglehub ended with {type(error).__name__}") from error


def is_installed() -> bool:
    """Tell whether Kaggle's library is there."""
    return find_spec("kagglehub") is not None


def has_credentials() -> bool:
    """Tell whether an account's credentials are in one of the places where Kaggle's library looks."""
    own = Path("~/.kaggle")
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR") or own)
    files = (own / "access_token", own / "access_token.txt", folder / "kaggle.json")
    pair = ("KAGGLE_USERNAME", "KAGGLE_KEY")
    return (
        bool(os.environ.get("KAGGLE_API_TOKEN"))
        or all(os.environ.get(name) for name in pair)
        or any(file.expanduser().is_file() for file in files)
    )


def _answered(status: int, name: str, has_account: bool) -> str:
    if status in (401, 403):
        refused = "refused the account whose credentials are here" if has_account else "wants an account"
        return f"Kaggle {refused} ({status}); {TOKEN}"
    if status == 404:
        return f"Kaggle has no set {name} (404)"
    return f"Kaggle answered {status}; try again later"


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _time_limit() -> Iterator[None]:
    """End requests that get no answer: Kaggle's client sets no limit to its own, and takes none as a setting."""
    import requests

    send = requests.Session.send

    def send_within_limit(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        limits_s = options.get("timeout") or (HOST_TIMEOUT_S, READ_TIMEOUT_S)
        return send(session, request, **{**options, "timeout": limits_s})

    requests.Session.send = send_within_limit  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]
