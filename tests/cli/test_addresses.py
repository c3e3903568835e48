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
    ],
)
def test_an_address_that_no_cluster_has_is_refused(tmp_path: Path, address: str, words: str) -> None:
    done = run_here(tmp_path / "home", "sweep", "stroke_hybrid", "--address", address)
    assert done.exit_code == 2
    assert f"--address {address}: {words}" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_head_that_does_not_answer_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = run_here(tmp_path / "home", "sweep", "stroke_hybrid", "--address", address)
    assert done.exit_code == 2
    assert "nothing answers there; is that the head's address" in " ".join(done.stderr.split())
    assert not (tmp_path / "home" / "sweeps").exists()
