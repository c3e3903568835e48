"""What doctor says of an account at Kaggle."""

from pathlib import Path

import pytest

from orchestrator.inspecting import from_kaggle
from orchestrator.inspecting.fitness import checks_of_machine


@pytest.mark.parametrize(
    ("file", "variables"),
    [
        (None, {"KAGGLE_API_TOKEN": "x"}),
        (None, {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "x"}),
        (".kaggle/access_token", {}),
        (".kaggle/kaggle.json", {}),
        ("elsewhere/kaggle.json", {"KAGGLE_CONFIG_DIR": "elsewhere"}),
    ],
)
def test_every_place_of_kaggles_credentials_is_known(
    file: str | None, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not from_kaggle.has_credentials()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if file is not None:
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("x")
    assert from_kaggle.has_credentials()


def test_doctor_says_what_fetching_from_kaggle_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> str:
        return next(check.found for check in checks_of_machine() if check.name == "kaggle")

    monkeypatch.setattr("orchestrator.inspecting.machine.gpu_names", lambda: ())  # spares the start of torch
    monkeypatch.setattr(from_kaggle, "has_credentials", lambda: False)
    assert "no credentials, only data fetch needs them: make a token" in found()
    monkeypatch.setattr(from_kaggle, "is_installed", lambda: False)
    assert "kagglehub is not installed, only data fetch needs it: pip install" in found()
