"""Fixtures of commands that ask hosts of public sets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stub_hosts import Fetch, Stub, hosts
from tests_support import Finished, Orchestrate


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    from huggingface_hub import constants
    from kagglesdk import kaggle_env

    with hosts() as one:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, one.url)
        monkeypatch.setattr(constants, "ENDPOINT", one.url)
        template = f"{one.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield one


@pytest.fixture
def fetch(orchestrate_here: Orchestrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stub: Stub) -> Fetch:
    """Fetch into tmp_path/sets/<task> with no account but the one that is given."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def run(task: str = "stroke", **environment: str) -> Finished:
        alone = {"HOME": str(tmp_path), "KAGGLE_CONFIG_DIR": str(tmp_path), "KAGGLE_API_TOKEN": "", "KAGGLE_KEY": ""}
        alone |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        root = {"ORCHESTRATE_DATA": str(tmp_path / "sets"), "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
        return orchestrate_here("data", "fetch", task, **{**alone, **root, **environment})

    return run
