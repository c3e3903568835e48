"""One small sweep on data that leak, which the tests of a file share."""

from pathlib import Path

import pytest
from started_sweep import line_of, write_leaking_set
from tests_support import Finished, run_here, with_store


@pytest.fixture(scope="module")
def leaking_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_leaking_set(tmp_path_factory.mktemp("leaking") / "set")


@pytest.fixture(scope="module")
def swept(leaking_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """A sweep that nothing disturbed: its home and what it printed."""
    home = tmp_path_factory.mktemp("swept") / "home"
    done = run_here(with_store(home), *line_of("whole", "--data", leaking_set, "--seeds", "2"))
    assert done.exit_code == 0, done.stderr
    return home, done
