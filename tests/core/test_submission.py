"""What is remembered of a submission: for its user alone, and nothing secret."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.submission import Submission, command_line, keep_submission, kept_submission


def test_a_submission_is_read_back_by_its_user_alone(tmp_path: Path) -> None:
    submission = Submission(
        sweep_id="s-1", address="http://head:8265", job_id="s-1", command="x", environment="pip",
        variables=("STORE_TOKEN",), code_files=1, code_bytes=2, submitted_at=3.0,
    )  # fmt: skip
    home = Home(tmp_path)
    keep_submission(home, submission)
    keep_submission(home, submission)
    (path,) = home.submitted.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_submission(home, "s-1") == submission
    assert kept_submission(home, "s-2") is None
    assert kept_submission(home, "../s-1") is None


def test_a_damaged_note_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.submitted.mkdir()
    (home.submitted / "s.json").write_text("{")
    with pytest.raises(BadInput, match=r"s\.json: is damaged .*; say --address, or remove it"):
        kept_submission(home, "s")


@pytest.mark.parametrize(
    ("environment", "home"), [({}, "/users/me/orchestrate"), ({"ORCHESTRATE_HOME": "/h h"}, "/h h")]
)
def test_a_command_keeps_its_words_and_its_home_out_of_the_jobs_folder(
    tmp_path: Path, environment: dict[str, str], home: str
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s|" "$ORCHESTRATE_HOME" "$@"\n')
    python.chmod(0o755)
    line = command_line(["sweep", "it's.yaml", "--set", "lr={float: [1, 2]}"])
    said = subprocess.run(
        ["/bin/sh", "-c", line],  # as Ray Jobs runs it
        env={"PATH": str(tmp_path), "HOME": "/users/me"} | environment,
        capture_output=True,
        text=True,
    ).stdout
    assert said == f"{home}|-m|orchestrator.cli.main|sweep|it's.yaml|--set|lr={{float: [1, 2]}}|"
