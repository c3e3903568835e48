"""Hugging Face's public sets: the parquet files of a repository."""

import shutil
from pathlib import Path

from orchestrator.inspecting.fetch_errors import NotFetched

TOKEN = "make a token (huggingface.co -> Settings -> Access Tokens) and set HF_TOKEN"


def from_huggingface(name: str, kept: Path) -> Path:
    """Download a set's parquet files below `kept`, but for the files that are there whole; return their folder.

    Raises NotFetched.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    folder = kept / "files"
    try:
        info = HfApi().dataset_info(name)
        wanted = [file.rfilename for file in info.siblings or () if file.rfilename.endswith(".parquet")]
        if not wanted:
            raise NotFetched(f"Hugging Face has no parquet files in {name}")
        snapshot_download(
            name, repo_type="dataset", revision=info.sha, local_dir=folder, allow_patterns=["*.parquet", "*.md"]
        )
    except HfHubHTTPError as error:
        raise NotFetched(_answered(error.response.status_code, name)) from error
    except NotFetched:
        raise
    except Exception as error:  # its client raises its own kinds for each way of having no network
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's
        raise NotFetched(f"Hugging Face cannot be reached, or broke off ({type(error).__name__})") from error
    # where it loses the network before it knows the files, the client takes any folder that is there for the set
    if not all((folder / one).is_file() for one in wanted):
        raise NotFetched("the connection to Hugging Face broke off")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes
    return folder


def _answered(status: int, name: str) -> str:
    if status in (401, 403):
        return f"Hugging Face refused it ({status}); {TOKEN}"
    if status == 404:
        return f"Hugging Face has no set {name} (404)"
    return f"Hugging Face answered {status}; try again later"
