import pytest
from plan_support import data_summary

from orchestrator.journal import SweepStarted
from orchestrator.plan import SweepPlan
from orchestrator.sweep_file import load_sweep_file
from orchestrator.sweep_files import find_sweep_file


@pytest.fixture
def plan() -> SweepPlan:
    file = load_sweep_file(find_sweep_file("stroke_hybrid"), "quick")
    return SweepPlan(
        sweep=file.name,
        task=file.task,
        classes=("normal", "stroke"),
        data=data_summary("phantom"),
        preset="quick",
        weights="random",
        seed=0,
        metric="auroc",
        direction="max",
        architectures=file.architectures,
        published={"resnet_vit": False},
        budget=file.budget,
        search=file.search,
        scheduler=file.scheduler,
    )


@pytest.fixture
def started(plan: SweepPlan) -> SweepStarted:
    return SweepStarted(
        sweep_id="stroke_hybrid-1", plan=plan, plan_digest=plan.digest, slots=2, device="cpu", versions={}, git={}
    )
