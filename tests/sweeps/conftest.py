"""Data that leak, which the tests of a file share."""

from pathlib import Path

import pytest
from started_sweep import write_leaking_set


@pytest.fixture(scope="module")
def leaking_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_leaking_set(tmp_path_factory.mktemp("leaking") / "set")
