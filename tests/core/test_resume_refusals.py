"""What a sweep is not resumed with, told before anything is planned or read."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sweep_support import make_plan, open_sweep, started

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import SweepEnded, SweepTracked
from orchestrator.resume import ResumeRequest, require_same_device, resume_sweep
from orchestrator.sweep_request import SweepRequest, keep_request, kept_request
from orchestrator.sweep_state import replay


@pytest.fixture
def machine(tmp_path: Path) -> SweepRequest:
    """A home whose sweep `spent` has ended after 100 s of the 60 that it might take."""
    home = Home(tmp_path)
    folder = home.root / "sweeps" / "spent"
    folder.mkdir(parents=True)
    machine = SweepRequest(name="stroke_hybrid", home=home)
    keep_request(folder, machine, folder / "images")
    plan = make_plan(budget__trials=4, budget__epochs=6, budget__time_s=60)
    with open_sweep(folder, plan, "spent") as sweep:
        sweep.append(SweepEnded(state="completed", time=sweep.past[0].time + 100))
        late = SweepTracked(
            tracking_uri="", run_id=None, trial_run_ids={}, registered=None, time=sweep.past[0].time + 1e6
        )
        sweep.append(late)  # told days later: no time of the sweep's
    return machine


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trials": 3}, "--trials 3: the sweep has 4; a budget can only be raised"),
        ({"epochs": 5}, "--epochs 5: the sweep has 6; a budget can only be raised"),
        ({"trials": 9}, "--time-budget: the 1 minutes that the sweep may take are spent; .* e.g. --time-budget 4m"),
        ({"epochs": 9, "time_budget_s": 99.0}, "--time-budget: the 1.65 minutes"),
    ],
)
def test_a_budget_that_is_no_raise_is_refused(machine: SweepRequest, changes: dict, words: str) -> None:
    request = ResumeRequest(sweep_id="spent", machine=machine, **changes)
    with pytest.raises(BadInput, match=words):
        resume_sweep(request, lambda what, done, of: None, lambda event, state: None)


def test_a_copy_is_not_resumed_into_the_runs_of_the_first(machine: SweepRequest) -> None:
    shutil.copytree(machine.home.sweeps / "spent", machine.home.sweeps / "copy")
    request = ResumeRequest(sweep_id="copy", machine=machine)
    with pytest.raises(BadInput, match="copy: is a copy of spent"):
        resume_sweep(request, lambda what, done, of: None, lambda event, state: None)


def test_another_kind_of_device_is_refused() -> None:
    state = replay([started(make_plan())])
    require_same_device("s", state, SimpleNamespace(slots=SimpleNamespace(device="cpu")))
    with pytest.raises(BadInput, match="s: was trained on cpu, here it would be cuda, whose numbers differ"):
        require_same_device("s", state, SimpleNamespace(slots=SimpleNamespace(device="cuda")))


def test_a_request_is_kept_whole_and_needs_its_folder_only(machine: SweepRequest) -> None:
    folder = machine.home.root / "sweeps" / "spent"
    asked = replace(machine, trials=7, architectures=("resnet_vit",), time_budget_s=60.0)
    keep_request(folder, asked, folder / "images")
    assert kept_request(folder, machine) == asked
    assert not list(folder.glob("*.part"))
