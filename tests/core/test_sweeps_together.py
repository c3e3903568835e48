"""Several sweeps at once: what each is asked, how they share a time budget, what one that fails leaves the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sweep_support import make_plan

from orchestrator.asked_sweeps import asked_sweeps
from orchestrator.errors import BadInput, Interrupted, NoUsableTrial
from orchestrator.home import Home
from orchestrator.journal import ArchitectureChecked
from orchestrator.open_sweep import SweepWatch
from orchestrator.own_tasks import own_task
from orchestrator.plan import SweepPlan
from orchestrator.sweep import PreparedSweep
from orchestrator.sweep_lock import STOP_REQUEST
from orchestrator.sweep_planning import PlannedSweep
from orchestrator.sweep_request import SweepRequest
from orchestrator.sweeps_together import requests_of_each, run_all
from orchestrator.tuning.resources import Slots
from trainables import catalog


def every_task(**asked: object) -> list[SweepRequest]:
    return [
        SweepRequest(name=one.name, task=one.task, files=one.files, home=Home(Path()), **asked)
        for one in asked_sweeps([], None, True)
    ]


def test_each_gets_what_it_has_of_what_is_named_for_all() -> None:
    asked = every_task(
        architectures=("vit", "cross_modal"), exclude=("ct_only",), sweep_id="night",
        overrides={"lr": "1e-3", "cross_modal.sa_layers": "0", "budget.epochs": "2", "patch_init": "reinit"},
    )  # fmt: skip
    found = {one.name: one for one in requests_of_each(asked)[0]}
    assert list(found) == ["stroke", "tumor_binary", "tumor_4class", "alzheimer", "tumor_ct_mri"]
    assert found["stroke"].architectures == ("vit",)
    assert set(found["stroke"].overrides) == {"lr", "budget.epochs", "patch_init"}
    assert found["tumor_ct_mri"].architectures == ("cross_modal",)
    assert set(found["tumor_ct_mri"].overrides) == {"lr", "cross_modal.sa_layers", "budget.epochs"}
    assert found["tumor_ct_mri"].exclude == ("ct_only",)
    assert found["stroke"].sweep_id == "night-stroke"
    assert list(found["stroke"].load("quick").architectures) == ["vit"]


def test_a_sweep_with_nothing_to_train_is_left_out() -> None:
    (only,), _ = requests_of_each(every_task(architectures=("cross_modal",), time_budget_s=60.0))
    assert only.time_budget_s is None, "that of all is shared when they run"
    assert only.task == "tumor_ct_mri"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"architectures": ("vitt",)}, "--architectures: no architecture of these sweeps 'vitt'; did you mean 'vit'?"),
        ({"exclude": ("x",)}, "--exclude: no architecture of these sweeps 'x'"),
        ({"overrides": {"lrr": "1"}}, "--set lrr: no hyperparameter 'lrr'; did you mean 'lr'?"),
        ({"overrides": {"vitt.lr": "1"}}, "--set vitt.lr: no section 'vitt'; did you mean 'vit'?"),
        ({"data": "images"}, "--data images: one folder for the tasks alzheimer, stroke"),
        ({"architectures": ("vit",), "exclude": ("vit",)}, "--exclude: leaves no architecture of resnet_vit, "),
        ({"sweep_id": "x" * 95}, "expected up to 100 letters"),
    ],
)
def test_what_none_of_them_has_is_one_line(asked: dict, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        requests_of_each(every_task(**asked))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_own_task_whose_images_are_nowhere_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "lesions.yaml"
    file.write_text("task: lesions\nlayout: folders\nclasses: [a, b]\n")
    own_task(Home(tmp_path / "home"), file)
    try:
        found, notes = requests_of_each(every_task(architectures=("vit",)))
        assert "lesions" not in [one.task for one in found]
        assert notes == ["lesions: left out, its images are nowhere; its task file says where by a line data: DIR"]
        (tmp_path / "data" / "lesions").mkdir(parents=True)
        found, notes = requests_of_each(every_task(architectures=("vit",), data_root=tmp_path / "data"))
        assert "lesions" in [one.task for one in found] and not notes
    finally:
        del catalog._TASKS["lesions"]


def prepared(name: str, epoch_s: float) -> PreparedSweep:
    plan = make_plan().model_copy(update={"sweep": name})
    checked = [
        ArchitectureChecked(
            architecture=one, trainable_parameters=10, total_parameters=10, step_s=epoch_s, steps_per_epoch=1
        )
        for one in plan.architectures
    ]
    slots = Slots(2, 1, 0.0, 0)
    request = SweepRequest(name=name, home=Home(Path()))
    return PreparedSweep(request, PlannedSweep(plan, Path(), None, slots), checked)  # type: ignore[arg-type]


def done_as(name: object, folder: Path = Path("/no/where")) -> SimpleNamespace:
    return SimpleNamespace(name=name, folder=folder)


@contextmanager
def watching(plan: SweepPlan) -> Iterator[SweepWatch]:
    yield lambda event, state: None


def test_a_time_budget_is_shared_by_forecast_and_what_one_leaves_goes_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, given = [1000.0], []

    def started(one: PreparedSweep, watch: SweepWatch) -> SimpleNamespace:
        given.append(one.planned.plan.budget.time_s)
        assert one.request.time_budget_s == given[-1], "what is kept for a resume"
        now[0] += 10
        return done_as(one.planned.plan.sweep)

    monkeypatch.setattr("orchestrator.sweeps_together.start", started)
    monkeypatch.setattr("orchestrator.sweeps_together.time.monotonic", lambda: now[0])
    done = run_all([prepared("a", 3.0), prepared("b", 1.0), prepared("c", 1.0)], 100.0, watching)
    assert [one.name for one in done.results] == ["a", "b", "c"]
    assert given == pytest.approx([60.0, 45.0, 80.0])
    given.clear()
    run_all([prepared("a", 3.0)], 100.0, watching)
    assert given == pytest.approx([100.0])


def test_one_without_a_winner_keeps_no_other_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(one: PreparedSweep, watch: SweepWatch) -> SimpleNamespace:
        if one.planned.plan.sweep == "b":
            raise NoUsableTrial("no trial of 3 can be evaluated")
        return done_as(one.planned.plan.sweep)

    monkeypatch.setattr("orchestrator.sweeps_together.start", started)
    done = run_all([prepared(name, 1.0) for name in "abc"], None, watching)
    assert [one.name for one in done.results] == ["a", "c"]
    assert done.without_winner == {"b": "no trial of 3 can be evaluated"}


def test_an_interruption_says_which_have_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(one: PreparedSweep, watch: SweepWatch) -> str:
        raise Interrupted("interrupted by the user")

    monkeypatch.setattr("orchestrator.sweeps_together.start", started)
    with pytest.raises(Interrupted, match="interrupted by the user; not begun: b, c"):
        run_all([prepared(name, 1.0) for name in "abc"], None, watching)


def test_an_interruption_that_came_too_late_for_one_keeps_the_next_from_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / STOP_REQUEST).touch()
    monkeypatch.setattr("orchestrator.sweeps_together.start", lambda one, watch: done_as("a", tmp_path))
    with pytest.raises(Interrupted, match="interrupted by the user; not begun: b"):
        run_all([prepared(name, 1.0) for name in "ab"], None, watching)


def test_the_forecast_adds_up_what_each_architecture_takes() -> None:
    one = prepared("a", 2.0)
    plan = one.planned.plan
    plan = plan.model_copy(
        update={
            "budget": plan.budget.model_copy(update={"trials": 9, "epochs": 9, "time_s": None}),
            "scheduler": plan.scheduler.model_copy(update={"name": "asha", "grace_epochs": 1, "reduction_factor": 3}),
        }
    )
    one = replace(one, planned=replace(one.planned, plan=plan))
    found = one.forecast
    assert (found.trials, found.most_epochs, found.most_s) == (9, 81, 81 * 2.0 / 2)
    assert found.usual_s == pytest.approx(9 * (1 + 2 / 3 + 6 / 9) * 2.0 / 2), "a third passes each rung: 1, 3, 9"
    assert found.gpu_hours == 0
    assert found.disk_bytes == 4 * 10 * (8 * 2 + plan.budget.finalists)
    words = "forecast: 9 trials, at most 81 epochs, about 21 s, at most 81 s, 0 MiB of disk at once; then the finalists"
    assert found.sentence == words
    short = plan.model_copy(update={"budget": plan.budget.model_copy(update={"time_s": 7.0})})
    assert replace(one, planned=replace(one.planned, plan=short)).forecast.most_s == 7.0
