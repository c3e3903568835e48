"""Hugging Face's public sets: the parquet files of a repository."""

import shutil
from pathlib import Path

from orchestrator.inspecting.fetch_errors import HOST_TIMEOUT_S, NotFetched

TOKEN = "make a token (huggingface.co -> Settings -> Access Tokens) and set HF_TOKEN"


def from_huggingface(name: str, kept: Path) -> Path:
    """Download a set's parquet files below `kept`, but for the files that are there whole; return their folder.

    What is there of other revisions goes. Raises NotFetched.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi().dataset_info(name, timeout=HOST_TIMEOUT_S)
        files = [file.rfilename for file in info.siblings or ()]
        if not any(file.endswith(".parquet") for file in files):
            raise NotFetched(f"Hugging Face has no parquet files in {name}")
        folder = kept / f"{info.sha}"  # of each revision its own: one that cuts the set otherwise would double its rows
        for other in kept.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other, ignore_errors=True)
        # one by one, as what lists and downloads the whole asks for the list without a limit of time
        for file in files:
            if file.endswith((".parquet", ".md")):
                hf_hub_download(
                    name, file, repo_type="dataset", revision=info.sha, local_dir=folder, etag_timeout=HOST_TIMEOUT_S
                )
    except HfHubHTTPError as error:
        raise NotFetched(_answered(error.response.status_code, name)) from error
    except NotFetched:
        raise
    except Exception as error:  # its client raises its own kinds for each way of having no network
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's
        raise NotFetched(f"Hugging Face cannot be reached, or broke off ({type(error).__name__})") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes
    return folder


def _answered(status: int, name: str) -> str:
    if status in (401, 403):
        return f"Hugging Face refused it ({status}); {TOKEN}"
    if status == 404:
        return f"Hugging Face has no set {name} (404)"
    return f"Hugging Face answered {status}; try again later"
