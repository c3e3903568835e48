"""What is wrong with one node of a cluster is one line that names it; nodes here are this process."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray._private.utils import check_version_info
from ray.exceptions import GetTimeoutError, RayTaskError

from orchestrator.errors import BadInput
from orchestrator.tuning import cluster, node_checks
from orchestrator.tuning.cluster import Node
from orchestrator.tuning.node_checks import Needs, NodeReport, check_nodes

NODE = Node("a1", "10.0.0.7", 4, 0)
Answered = Callable[..., list[NodeReport]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answered:
    """Return what asks one node that answers as this process would, but for the changes."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "node"))
    (tmp_path / "storage").mkdir()
    array = tmp_path / "images.npy"
    array.write_bytes(bytes(1000))

    def ask(node: Node = NODE, **changes: Any) -> list[NodeReport]:
        def answered(node: Node, probe: Any, needs: Needs) -> NodeReport:
            return replace(node_checks._look(node.node_id, probe, needs), **{"host": "worker-7", **changes})

        monkeypatch.setattr(node_checks, "_ask", answered)
        monkeypatch.setattr(node_checks.ray, "get", lambda report, timeout: report)
        return check_nodes([node], tmp_path / "storage", Needs(("vit",), {array: "digest"}))

    return ask


def test_a_node_like_the_driver_is_fit(asked: Answered, tmp_path: Path) -> None:
    (report,) = asked()
    assert (report.host, report.lacks, report.unknown) == ("worker-7", [], [])
    assert not list((tmp_path / "storage").iterdir()), "what was written to look is gone"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"packages": {**dict.fromkeys(node_checks.PACKAGES, "1.0")}}, "has torch 1.0, here it is"),
        ({"python": "3.9"}, "has python 3.9, here it is"),
        ({"code_digest": "other"}, "runs another version of this project than the driver"),
        ({"unknown": ["tiny_net"]}, "does not know architecture tiny_net; install the package that brings it"),
        ({"read": "No such file or directory"}, "is not shared with node worker-7"),
        ({"weights": "architectures.vit: no weights here"}, "architectures.vit: no weights here"),
        ({"free_bytes": 5}, "0 MiB free in"),
    ],
)
def test_one_that_is_not_is_named(asked: Answered, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        asked(**changes)
    assert words in str(refused.value)
    assert "worker-7 (10.0.0.7)" in str(refused.value)


def test_room_is_needed_for_images_that_it_lacks_alone(asked: Answered, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the decoded images that it lacks take"):
        asked(lacks=[tmp_path / "images.npy"], free_bytes=2**30 + 500)
    asked(free_bytes=2**30 + 500)


def test_gpus_that_ray_was_told_of_must_be_seen_by_torch(asked: Answered) -> None:
    node = replace(NODE, gpus=2)
    with pytest.raises(BadInput, match="Ray was told of 2 GPUs there, torch sees 1"):
        asked(node, cards_mib=[80_000.0])
    (report,) = asked(node, cards_mib=[80_000.0, 80_000.0, 16_000.0])
    assert report.cards_mib == [80_000.0, 80_000.0], "a card that Ray does not give away counts for nothing"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (GetTimeoutError("late"), "node 10.0.0.7: gave no answer within"),
        (
            RayTaskError("_look", "ModuleNotFoundError: No module named 'orchestrator'", ImportError("x")),
            "node 10.0.0.7: this project is not installed there",
        ),
    ],
)
def test_one_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    def fails(reference: Any, timeout: float) -> None:
        raise error

    monkeypatch.setattr(node_checks.ray, "get", fails)
    with pytest.raises(BadInput, match=words):
        node_checks._answer(NODE, None)


def test_another_ray_or_python_on_the_cluster_is_told_in_one_line() -> None:
    theirs = {"ray_version": "2.50.0", "python_version": "3.10.1"}
    with pytest.raises(RuntimeError) as mismatch:
        check_version_info(theirs, "this process", raise_on_mismatch=True)
    said = cluster._reason(mismatch.value)
    assert said.startswith("the cluster runs Ray 2.50.0, Python 3.10.1, this is Ray 2.")
    assert "\n" not in said
