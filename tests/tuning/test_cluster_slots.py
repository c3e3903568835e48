"""How many trials the nodes of a cluster hold, and what each gets."""

import pytest

from orchestrator.errors import BadInput
from orchestrator.tuning.cluster import Node
from orchestrator.tuning.cluster_slots import slots_of_nodes


def node(name: str, cpus: int, gpus: int = 0) -> Node:
    return Node(name, name, cpus, gpus)


def test_without_gpus_a_trial_has_one_core_and_every_core_a_trial() -> None:
    slots = slots_of_nodes([node("a", 4), node("b", 2)], None, None)
    assert (slots.count, slots.threads, slots.cpus_each, slots.device, slots.most) == (6, 1, 1, "cpu", None)


def test_fewer_slots_have_more_threads_and_take_as_many_cpus() -> None:
    slots = slots_of_nodes([node("a", 8), node("b", 4)], 3, None)
    assert (slots.count, slots.threads, slots.cpus_each, slots.most) == (3, 4, 4, 3), "two on a, one on b"


def test_a_trial_has_a_gpu_and_its_share_of_the_cores() -> None:
    slots = slots_of_nodes([node("head", 4), node("a", 16, 2), node("b", 6, 1)], None, None)
    assert (slots.count, slots.threads, slots.gpu_share, slots.gpus, slots.cpus_each) == (3, 6, 1.0, 3, 1)


def test_more_slots_than_gpus_share_them() -> None:
    slots = slots_of_nodes([node("a", 8, 1), node("b", 8, 1)], 4, None)
    assert (slots.count, slots.gpu_share, slots.threads, slots.most) == (4, 0.5, 4, 4)


def test_a_node_holds_no_more_trials_than_it_has_cores() -> None:
    assert slots_of_nodes([node("a", 2, 1)], None, 0.125).count == 2


@pytest.mark.parametrize(
    ("nodes", "requested", "share", "words"),
    [
        ([node("a", 4)], None, 0.5, "--gpus-per-trial 0.5: no node of the cluster has a GPU"),
        ([node("a", 4)], 5, None, "--slots 5: the nodes of the cluster have 4 CPUs for trials"),
        ([node("a", 4)], 0, None, "--slots 0: expected auto or a whole number"),
        ([node("a", 8, 1)], 3, 0.5, "--slots 3: the nodes' 1 GPUs hold 2 trials of 0.5 each; take fewer"),
        ([node("a", 16, 1)], 9, None, "--slots 9: 9 trials on one GPU"),
        ([node("head", 8), node("a", 0, 1)], None, None, "no node with a GPU has a CPU for a trial"),
    ],
)
def test_what_no_node_holds_is_said_at_once(
    nodes: list[Node], requested: int | None, share: float | None, words: str
) -> None:
    with pytest.raises(BadInput, match=words.replace("(", r"\(")):
        slots_of_nodes(nodes, requested, share)
