"""Weights and states are on disk before they stand in the place of older ones."""

import dataclasses
import os
from pathlib import Path

import pytest
from training_support import blobs, run

from trainables.durable import put_in_place
from trainables.training.loop import train


def test_what_training_keeps_is_on_disk_before_it_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk: set[int] = set()
    in_place: list[tuple[str, bool]] = []
    fsync, replace = os.fsync, os.replace

    def synced(number: int) -> None:
        fsync(number)
        on_disk.add(os.fstat(number).st_ino)

    def replaced(part: Path, path: Path) -> None:
        inode = part.stat().st_ino
        in_place.append((path.name, inode in on_disk))
        replace(part, path)
        on_disk.discard(inode)  # another file gets the number later

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    list(train(dataclasses.replace(run(tmp_path, epochs=2, keep_state_s=0.0), keep_every_epochs=1), blobs()))
    kept = {name: was_synced for name, was_synced in in_place if name != "best_validation.npz"}
    names = ["best.safetensors", "model_epoch_001.safetensors", "model_epoch_002.safetensors"]
    assert kept == dict.fromkeys([*names, "state_epoch_0001.pt", "state_epoch_0002.pt"], True)


def test_a_file_that_does_not_reach_the_disk_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    part, path = tmp_path / "w.part", tmp_path / "w"
    part.write_bytes(b"new")
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        put_in_place(part, path)
    assert path.read_bytes() == b"old"


def test_a_file_system_that_syncs_no_folders_is_one_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_only(number: int) -> None:
        if os.fstat(number).st_ino == tmp_path.stat().st_ino:
            raise OSError(22, "Invalid argument")
        fsync(number)

    (tmp_path / "w.part").write_bytes(b"new")
    monkeypatch.setattr(os, "fsync", files_only)
    put_in_place(tmp_path / "w.part", tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == b"new"
