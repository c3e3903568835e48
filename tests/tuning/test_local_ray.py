"""What a Ray of our own leaves out."""

from ray._private.node import Node

from orchestrator.tuning.local_ray import UNUSED, _without_unused_processes


def test_ray_has_the_steps_that_are_left_out_and_gets_them_back() -> None:
    """A version that names them otherwise would start what nobody uses, and take seconds longer."""
    whole = {name: getattr(Node, name) for name in UNUSED}
    with _without_unused_processes():
        assert not [name for name, step in whole.items() if getattr(Node, name) is step]
    assert {name: getattr(Node, name) for name in UNUSED} == whole
