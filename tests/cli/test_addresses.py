"""Addresses of clusters that cannot be, told before anything else is done."""

import socket
from pathlib import Path

import pytest
from tests_support import run_here


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://10.0.0.1:8265", "is for orchestrate submit; a sweep attaches by auto, or the head's HOST:PORT"),
        ("ray://10.0.0.1:10001", "a sweep cannot run through Ray Client"),
        ("elsewhere", "expected auto, local, or HOST:PORT of the cluster's head"),
        ("host:99999", "expected auto, local, or HOST:PORT"),
        ("", "expected auto, local, or HOST:PORT"),
        ("..:6379", "nothing answers there"),
    ],
)
def test_an_address_that_no_cluster_has_is_refused(tmp_path: Path, address: str, words: str) -> None:
    done = run_here(tmp_path / "home", "sweep", "stroke_hybrid", "--address", address)
    assert done.exit_code == 2
    assert f"--address {address}: {words}" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--address", "host:1\nfoo"], "--address host:1 foo: expected auto, local, or HOST:PORT"),
        (["--storage", ""], "--storage=: is empty; name a folder that all nodes share"),
        (["--storage", "file://"], "--storage=file://: is empty"),
        (["--storage", "a file"], "--storage a file: is no folder"),
        (["--storage", "to nothing"], "--storage to nothing: is no folder"),
        (["--wait-for-nodes", "3"], "--wait-for-nodes 3: there are none without --address"),
        (["--slots", "1_0"], "--slots 1_0: expected auto or a whole number"),
        (["--slots", "\N{ARABIC-INDIC DIGIT THREE}"], "expected auto or a whole number"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, flags: list[str], words: str) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "to nothing").symlink_to(tmp_path / "gone")
    done = run_here(tmp_path / "home", "sweep", "stroke_hybrid", *flags)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_head_that_does_not_answer_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = run_here(tmp_path / "home", "sweep", "stroke_hybrid", "--address", address)
    assert done.exit_code == 2
    assert "nothing answers there; is that the head's address" in " ".join(done.stderr.split())
    assert not (tmp_path / "home" / "sweeps").exists()
