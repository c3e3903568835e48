"""Records are found in files; one that is wrong harms no other, and is told when it is asked for."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.sweep_file import known_architecture
from trainables import catalog, configs

RECORD = """
from trainables.configs.record import Architecture
from trainables.configs.training import TrainingConfig
class Config(TrainingConfig):
    width: int{default}
RECORD = Architecture("{name}", Config, "nothing:build", (), None, "a test", {{}})
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """More files among the records' own, none of which is right."""
    (tmp_path / "torn_record.py").write_text("import nothing_of_that_name")
    (tmp_path / "no_record.py").write_text("A = 1")
    (tmp_path / "three.py").write_text("RECORD = 3")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(0)")
    (tmp_path / "second_vit.py").write_text(RECORD.format(name="vit", default=" = 3"))
    (tmp_path / "open_field.py").write_text(RECORD.format(name="open_field", default=""))
    monkeypatch.setattr(configs, "__path__", [*configs.__path__, str(tmp_path)])
    kept = catalog.ARCHITECTURES, catalog.RECORD_FAULTS
    records, faults, without = catalog._own_records()
    monkeypatch.setattr(catalog, "ARCHITECTURES", records)
    monkeypatch.setattr(catalog, "RECORD_FAULTS", faults)
    monkeypatch.setattr(catalog, "_WITHOUT_RECORD", without)
    yield
    assert kept[0]["vit"].builder != "nothing:build"
    for name in ("torn_record", "no_record", "three", "leaves", "second_vit", "open_field"):
        sys.modules.pop(f"trainables.configs.{name}", None)
        if hasattr(configs, name):
            delattr(configs, name)
    importlib.invalidate_caches()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torn_record", "trainables/configs/torn_record.py cannot be read: No module named 'nothing_of_that_name'"),
        ("no_record", "trainables/configs/no_record.py has no RECORD (CONTRIBUTING.md says what that is)"),
        ("three", "trainables/configs/three.py has a RECORD that is no Architecture"),
        ("leaves", "trainables/configs/leaves.py cannot be read: 0"),
        ("second_vit", "trainables/configs/second_vit.py has a record 'vit', as another file has"),
        ("open_field", "architecture open_field: Config.width has no default; each field needs one, which is what"),
    ],
)
def test_a_file_that_is_wrong_is_told_in_one_line(files: None, name: str, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        known_architecture(name)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert known_architecture("vit").builder == "trainables.architectures.vit:build"


def test_our_own_records_are_whole() -> None:
    assert catalog.RECORD_FAULTS == {}


def test_a_torn_file_keeps_no_command_from_running(tmp_path: Path) -> None:
    (tmp_path / "torn_record.py").write_text("def (")
    code = f"""
from trainables import configs
configs.__path__.append({str(tmp_path)!r})
from trainables.catalog import ARCHITECTURES, RECORD_FAULTS
print("vit" in ARCHITECTURES, RECORD_FAULTS["torn_record"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True trainables/configs/torn_record.py cannot be read: ")
