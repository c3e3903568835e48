"""A second start under a sweep's id: it goes on where the same is asked for, and is refused where not."""

from dataclasses import replace
from pathlib import Path

import pytest
from sweep_support import make_plan, open_sweep

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.same_id import is_begun, require_same_request
from orchestrator.sweep_lock import owned
from orchestrator.sweep_request import SweepRequest, keep_request, kept_request, read_request


@pytest.fixture
def asked(tmp_path: Path) -> SweepRequest:
    """What sweep `again` was started with; as it was kept, the machine had decided preset and weights."""
    request = SweepRequest(name="stroke_hybrid", home=Home(tmp_path), sweep_id="again", data=str(tmp_path / "images"))
    folder = request.home.sweeps / "again"
    folder.mkdir(parents=True)
    keep_request(folder, replace(request, preset="quick", weights="random", warm_points={}), tmp_path / "images")
    with open_sweep(folder, make_plan(), "again"):
        pass
    return request


def test_the_same_request_goes_on_whatever_machine_and_home_are_set_to(asked: SweepRequest, tmp_path: Path) -> None:
    assert is_begun(asked.home, "again")
    require_same_request(asked)
    require_same_request(replace(asked, tracking_uri="http://store", max_cache_bytes=1, data_root=tmp_path))
    budget = make_plan().budget
    require_same_request(replace(asked, trials=budget.trials, epochs=budget.epochs, weights="random", preset="quick"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"seed": 1},
            "--id again: there is a sweep of that id, of which --seed was 0, not 1; orchestrate resume again goes on",
        ),
        ({"trials": 99}, r"--trials was \d+, not 99"),
        ({"finalists": 7}, r"--finalists was \d+, not 7"),
        ({"time_budget_s": 60.0}, "--time-budget was not given, not 60.0"),
        ({"overrides": {"lr": "1e-4"}}, "--set was not given, not lr=1e-4"),
        ({"architectures": ("resnet_vit",)}, "--architectures was not given, not resnet_vit"),
        ({"data": "phantom"}, "--data was .*images, not phantom"),
        ({"preset": "full"}, "--preset was quick, not full"),
        ({"warm_start": True}, "--warm-start was False, not True"),
        ({"gpu_share": 0.5}, "--gpus-per-trial was not given, not 0.5"),
        ({"name": "tumor_vit"}, "sweep was stroke_hybrid, not tumor_vit"),
        ({"task": "stroke"}, "--task was not given, not stroke"),
    ],
)
def test_another_request_is_refused_by_its_first_difference(asked: SweepRequest, changes: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        require_same_request(replace(asked, **changes))


def test_a_budget_that_a_resume_raised_is_no_difference(asked: SweepRequest) -> None:
    folder = asked.home.sweep_folder("again")
    keep_request(folder, replace(kept_request(folder, asked), trials=500, epochs=500), folder)
    require_same_request(asked)


def test_where_no_data_are_named_their_root_counts(asked: SweepRequest, tmp_path: Path) -> None:
    folder = asked.home.sweep_folder("again")
    without = replace(asked, data=None)
    keep_request(folder, without, folder)
    with pytest.raises(BadInput, match=f"ORCHESTRATE_DATA was not given, not {tmp_path}"):
        require_same_request(replace(without, data_root=tmp_path))


def test_a_sweep_file_that_moved_is_read_where_it_is(asked: SweepRequest, tmp_path: Path) -> None:
    """A cluster unpacks every submission into a folder of its own."""
    import search_spaces

    folder, text = (
        asked.home.sweep_folder("again"),
        Path(search_spaces.__file__).with_name("stroke_hybrid.yaml").read_text(),
    )
    there = [tmp_path / name / "mine.yaml" for name in ("first", "second")]
    for path in there:
        path.parent.mkdir()
        path.write_text(text)
    keep_request(folder, replace(asked, name=str(there[0])), tmp_path / "images")
    require_same_request(replace(asked, name=str(there[1])))
    moved = read_request(folder)
    assert moved is not None
    assert (moved.name, moved.sweep_id) == (str(there[1]), "again")


def test_what_a_killed_start_left_is_no_sweep(asked: SweepRequest) -> None:
    folder = asked.home.sweeps / "unbegun"
    assert not is_begun(asked.home, "unbegun")
    folder.mkdir()
    keep_request(folder, asked, folder)
    (folder / "journal.jsonl").write_text('{"torn')
    with owned(folder), pytest.raises(BadInput, match="unbegun: is run by process"):
        is_begun(asked.home, "unbegun")
    (folder / "thesis.docx").write_text("")
    with pytest.raises(BadInput, match=r"--id unbegun: .* holds thesis.docx; move it away"):
        is_begun(asked.home, "unbegun")
    (folder / "thesis.docx").unlink()
    assert not is_begun(asked.home, "unbegun")
    assert not folder.exists()
