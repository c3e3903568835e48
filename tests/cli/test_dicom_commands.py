"""DICOM folders as a user begins with them: `init` reads them, and nothing of their headers goes anywhere."""

from pathlib import Path

from dicom_support import HEADER, PATIENT, write_head_set
from tests_support import Orchestrate, with_store


def test_no_command_keeps_a_task_without_images(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    heads = write_head_set(tmp_path / "heads", patients=4, slices=1, side_px=16)
    for file in heads.rglob("IM*"):
        file.write_bytes(file.read_bytes()[:600])
    file = tmp_path / "my heads.yaml"
    for command in (
        ["init", heads, "--out", file],
        ["data", "check", file],
        ["train", "baseline_cnn", "--task", file],
        ["sweep", "--task", file],
    ):
        refused = orchestrate_here(*command)
        assert refused.exit_code == 2
        assert "4 of 4 images cannot be read" in refused.stderr, command
        if command[0] == "init":
            assert f"mend it, then: orchestrate data check '{file}'" in refused.stderr
        assert file.is_file(), "to be mended"
        assert not (tmp_path / "home" / "tasks").exists(), "later commands know no task that has no images"


def test_init_reads_a_dicom_folder_and_writes_no_tag(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    home, heads = with_store(tmp_path / "home"), write_head_set(tmp_path / "heads", patients=10, slices=2, side_px=32)
    damaged = next((heads / "calm").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:900])
    done = orchestrate_here("init", heads, "--out", tmp_path / "heads.yaml")
    assert done.exit_code == 0, done.stderr
    assert "20 DICOM files; CT shown from 0 to 80 HU; 10 patients by PatientID" in done.stdout
    assert "# 10 patients by DICOM's PatientID" in (tmp_path / "heads.yaml").read_text()
    wider = (tmp_path / "heads.yaml").read_text().replace("# ct_window_hu: [40, 80]", "ct_window_hu: [400, 2000]")
    (tmp_path / "heads.yaml").write_text(wider)
    (home / "tasks" / "heads.yaml").unlink()
    again = orchestrate_here("data", "check", tmp_path / "heads.yaml")
    assert again.exit_code == 0, again.stderr
    assert "ct_window_hu:\n- 400\n- 2000\n" in (home / "tasks" / "heads.yaml").read_text(), (
        "kept, as its images were read"
    )
    assert "CT shown from -600 to 1400 HU" in again.stdout
    secrets = [value.encode() for value in (*HEADER.values(), PATIENT.format(""))]
    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    said = [text.encode() for run in (done, again) for text in (run.stdout, run.stderr)]
    assert len(written) > 10
    assert not [value for value in secrets for content in (*written, *said) if value in content]
