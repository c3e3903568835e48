"""The report of a sweep: whole, safe whatever names there are, and without any network."""

import base64
import hashlib
import json
import re
from pathlib import Path
from random import Random

import pytest
from plan_support import data_summary
from report_page_support import PNG, Page, few, named_sweep, written
from report_support import HOSTILE, finished, metrics_at, search_events, search_plan, with_summary
from sweep_support import open_sweep, started, suggested

from orchestrator import sweep_report
from orchestrator.cli import report as command
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import (
    EpochEnded,
    FoldEvaluated,
    SeedEvaluated,
    SweepEnded,
    SweepResumed,
    TrialEnded,
    TrialStarted,
)
from orchestrator.report.learning_curves import thinned
from orchestrator.report.repeat import resume_command, sweep_command
from orchestrator.report.scales import Scale, fitting_range
from orchestrator.report.writer import page_of_sweep, require_own_or_new, write_report
from orchestrator.sweep_request import SweepRequest
from orchestrator.sweep_state import replay
from trainables.catalog import default_hyperparameters


def test_no_name_becomes_an_element_or_an_attribute_and_every_name_is_told(tmp_path: Path) -> None:
    plain = named_sweep(tmp_path / "plain", [f"word{place}" for place in range(len(HOSTILE))])
    hostile = named_sweep(tmp_path / "'\"><img src=x onerror=alert(1)>&amp;", HOSTILE)
    assert hostile.elements == plain.elements
    for word in HOSTILE:
        assert hostile.text.count(word.replace("\u202e", "\ufffd").replace("\u202c", "\ufffd")) >= 5, word
        assert word in json.dumps(hostile.data, ensure_ascii=False) or word in [
            one["why"] for one in hostile.data["trials"]
        ]
    assert [trial["why"] for trial in sorted(hostile.data["trials"], key=lambda one: one["n"])] == HOSTILE
    (block,) = [text for attributes, text in hostile.scripts if attributes.get("id") == "trials"]
    assert not set("<>&\u2028\u2029") & set(block)
    assert not [name for _, name, _ in hostile.attributes if name.startswith("on")]


def test_no_path_of_the_machine_and_no_store_is_named(tmp_path: Path) -> None:
    page = named_sweep(tmp_path / "somewhere", [f"word{place}" for place in range(len(HOSTILE))])
    for secret in ("/home/someone", "sqlite", str(tmp_path), "somewhere"):
        assert secret not in page.html


def test_nothing_is_fetched_and_only_its_own_script_runs(tmp_path: Path) -> None:
    page = named_sweep(tmp_path / "sweep", HOSTILE)
    assert [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            assert not re.match(r"[a-z]+:|//", value), (tag, value)
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and value.startswith("default-src"))
    (script,) = [text for attributes, text in page.scripts if not attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert "innerHTML" not in script
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert "@import" not in page.html
    assert "url(" not in page.html


def test_figures_lie_beside_the_page_and_old_ones_go(tmp_path: Path) -> None:
    page = named_sweep(tmp_path / "sweep", [f"word{place}" for place in range(len(HOSTILE))])
    assert ("img", "src", "figures/0008/test/word1.png") in page.attributes
    folder = tmp_path / "sweep"
    assert (folder / "report" / "figures" / "0008" / "test" / "word1.png").read_bytes() == PNG
    again = written(folder, replay(few(search_plan(), [0.5])))
    assert not list((folder / "report" / "figures").iterdir())
    assert "img" not in {tag for tag, _ in again.elements}
    assert sorted(path.name for path in (folder / "report").iterdir()) == ["figures", "index.html"]


def test_trials_are_ranked_as_in_the_leaderboard_with_ties(tmp_path: Path) -> None:
    page = written(tmp_path, replay(few(search_plan(), [0.6, 0.9, 0.8, 0.8, None])))
    assert [(row[0], row[1], row[3]) for row in page.rows()] == [
        ("1", "1", "0.9000"), ("2=", "2", "0.8000"), ("2=", "3", "0.8000"), ("4", "0", "0.6000"), ("5", "4", "–"),
    ]  # fmt: skip


def test_a_trial_without_any_epoch_stands_below_the_others(tmp_path: Path) -> None:
    plan = search_plan()
    events = [*few(plan, [0.6]), suggested(1, **default_hyperparameters("resnet_vit")), TrialStarted(trial=1)]
    events.append(TrialEnded(trial=1, state="failed", reason="its process was killed"))
    page = written(tmp_path, replay(events))
    assert [row[:4] for row in page.rows()] == [["1", "0", "resnet_vit", "0.6000"], ["–", "1", "resnet_vit", "–"]]
    assert "1 trial failed, most often with: its process was killed" in page.text


@pytest.mark.parametrize("scores", [[], [None], [None, None]])
def test_a_sweep_without_a_result_has_a_page(tmp_path: Path, scores: list[float | None]) -> None:
    page = written(tmp_path, replay(few(search_plan(), scores)))
    assert "No trial was evaluated on the test images yet." in page.text
    assert "The sweep had not ended when this page was written" in page.text
    assert len(page.data["trials"]) == len(scores)


def test_a_sweep_in_which_no_trial_ended_has_a_page(tmp_path: Path) -> None:
    events = list(search_events(search_plan(), 3, 10))
    unfinished = [event for event in events if not isinstance(event, TrialEnded)]
    page = written(tmp_path, replay([*unfinished, SweepEnded(state="interrupted", reason="interrupted by the user")]))
    assert "The sweep was interrupted. interrupted by the user" in page.text
    assert {row[-2].split()[0] for row in page.rows()} == {"interrupted"}


def test_phantoms_leaks_and_few_groups_are_said_on_top(tmp_path: Path) -> None:
    plan = search_plan().model_copy(update={"data": data_summary("phantom")})
    plan = with_summary(plan, {"leaks": {"same pixels": 3, "same patient": 1}, "unreadable": 2})
    page = written(tmp_path, finished(few(plan, [0.6, 0.9])))
    top = page.text.partition("Leaderboard")[2].partition("Ranked by")[0]
    for words in (
        "Phantom data: synthetic images.",
        "4 of 10 test images leak: development has seen them or their likes (3 same pixels, 1 same patient)",
        "95 % intervals rest on 24 groups, fewer than 30",
        "2 images could not be read and were left out.",
    ):
        assert words in top
    assert "0.8100 (4 of 10)" in page.text, "the leak-free part"


def test_folds_and_seeds_stand_beside_the_scores(tmp_path: Path) -> None:
    plan = with_summary(search_plan(seeds=2), {"folds": 2})
    state = finished(few(plan, [0.6, 0.9]))
    for fold, score in enumerate((0.7, 0.9)):
        state.apply(FoldEvaluated(trial=1, fold=fold, epoch=1, validation={"auroc": score, "log_loss": None}))
        state.apply(SeedEvaluated(trial=1, seed_index=fold, seed=fold, epoch=1, validation={"auroc": score - 0.2}))
    page = written(tmp_path, state)
    assert page.text.count("0.8000 ± 0.1414 (2)") == 2, "in the leaderboard and with the finalist"
    assert page.text.count("0.6000 ± 0.1414 (2)") == 3, "there, and on top, as it chose the winner"
    assert "Winner, chosen by its mean over seeds" in page.text
    assert "higher is better; the winner by the mean over 2 seeds of each finalist" in page.text
    assert "--seeds 2" in page.text


def test_a_metric_to_be_minimised_is_best_where_it_is_lowest(tmp_path: Path) -> None:
    plan = search_plan(metric="log_loss", direction="min")
    page = written(tmp_path, replay(few(plan, [0.6, 0.2, 9000.0, *([0.5] * 20)])))
    assert page.rows()[0][1] == "1"
    assert "validation log loss, lower is better" in page.text
    assert "Values far beyond the others are drawn at the edge." in page.text
    assert page.data["curves"] == ["validation log loss", "training loss"]


def test_parameters_that_are_not_in_force_are_dashes(tmp_path: Path) -> None:
    page = written(tmp_path, finished(search_events(search_plan(), 40, 6)))
    place = page.data["hyperparameters"].index("warmup_fraction")
    schedule = page.data["hyperparameters"].index("lr_schedule")
    told = {(trial["h"][schedule] == "none", trial["h"][place] is None) for trial in page.data["trials"]}
    assert told == {(True, True), (False, False)}
    assert "At the foot: the parameter is not in force for that trial." in page.text


def test_one_study_over_several_architectures_has_a_drawing_for_each(tmp_path: Path) -> None:
    plan = search_plan("stroke_timm")
    plan = plan.model_copy(update={"search": plan.search.model_copy(update={"allocation": "adaptive"})})
    importances = {"timm/resnet18": {"lr": 0.75, "dropout": 0.25}}
    page = written(tmp_path, finished(search_events(plan, 30, 6)), importances)
    drawings = [value for _, name, value in page.attributes if name == "data-parallel"]
    assert drawings == ["timm/resnet18", "timm/vit_tiny_patch16_224"]
    assert "adaptive allocation" in page.text
    assert "75%" in page.text
    assert "of timm/vit_tiny_patch16_224 trained to the end, 10 are needed." in page.text


def test_a_thousand_trials_are_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    page = written(tmp_path, finished(search_events(search_plan("stroke_timm"), 1000, 10)))
    assert len(page.html) < 3e6
    assert len(page.rows()) == 1000
    assert len(page.data["trials"]) == 1000
    hidden = [names for tag, names in page.elements if tag == "tr" and "data-t" in names]
    assert len(hidden) == 1000


def test_long_curves_are_thinned_with_first_and_last_epoch() -> None:
    drawn = thinned(range(3001), 60)
    assert (drawn[0], drawn[-1]) == (0, 3000)
    assert 60 * len(drawn) < 130_000
    assert thinned(range(10), 1000) == list(range(10)), "short ones are whole"
    assert thinned([], 1) == []


def test_the_page_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, replay(few(search_plan(), [0.6])))
    before = page_of_sweep(tmp_path).read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_report(tmp_path, replay(few(search_plan(), [0.7])), {})
    assert page_of_sweep(tmp_path).read_bytes() == before
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["index.html"]


def test_a_damaged_audit_or_request_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "audit.json").write_text('{"images": "many"')
    (tmp_path / "request.json").write_text("[]")
    page = written(tmp_path, replay(few(search_plan(), [0.6])))
    assert "No audit that can be read stands in the sweep's folder." in page.text
    assert "What was asked for was not kept" in page.text


def test_the_sweep_is_not_lost_for_want_of_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> Path:
        raise ValueError("a fault nobody thought of")

    with open_sweep(tmp_path / "s", search_plan()) as sweep:
        sweep_report.write_report_or_none(sweep.folder, replay([*sweep.past, SweepEnded(state="completed")]))
        page = Page(page_of_sweep(sweep.folder))
        assert "had not ended" not in page.text
        assert sweep.state.ended is None, "the line itself comes after the report"
        monkeypatch.setattr(sweep_report, "write_sweep_report", broken)
        sweep_report.write_report_or_none(sweep.folder, replay([*sweep.past, SweepEnded(state="completed")]))
        assert not page_of_sweep(sweep.folder).exists(), "no page of an earlier end is left"


def test_the_command_of_a_sweep_says_what_the_machine_decided() -> None:
    state = replay([started(search_plan(seed=7))])
    asked = SweepRequest(
        name="my sweeps/own file.yaml", home=Home(Path()), trials=9, exclude=("a", "b"),
        overrides={"lr": "{float: [1e-5, 1e-3]}"},
    )  # fmt: skip
    assert sweep_command(state, asked) == (
        "orchestrate sweep 'own file.yaml' --data DIR --preset full --weights random --seed 7 --exclude a,b --trials 9 "
        "--set 'lr={float: [1e-5, 1e-3]}'"
    )
    assert resume_command(state) is None


def test_a_raised_budget_is_two_commands() -> None:
    plan = search_plan()
    raised = plan.model_copy(
        update={"budget": plan.budget.model_copy(update={"trials": 80, "epochs": 50, "time_s": 1e6})}
    )
    event = SweepResumed(plan=raised, plan_digest="d", slots=1, device="cpu", versions={}, git={})
    state = replay([started(plan), event])
    asked = SweepRequest(name="stroke_hybrid", home=Home(Path()), trials=80, epochs=50)
    assert " --trials 40 --epochs 35" in sweep_command(state, asked)
    assert resume_command(state) == "orchestrate resume s --trials 80 --epochs 50 --time-budget 1000000s"


def test_scales() -> None:
    log = Scale(1e-4, 1e-2, 100, 0, log=True)
    assert log.at(1e-3) == pytest.approx(50)
    assert (log.at(1.0), log.at(1e-9)) == (0, 100), "at the ends, never outside"
    assert log.ticks(4) == pytest.approx([1e-4, 1e-3, 1e-2])
    assert Scale(0, 1, 0, 1).ticks(5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert Scale(3, 3, 0, 10).at(3) == 5
    assert fitting_range([0.9] * 20 + [0.8] * 20 + [-500.0], True)[::2] == (pytest.approx(0.65), True)
    assert fitting_range([0.5], True) == (0.25, 0.75, False)
    assert fitting_range([], True) == (0, 1, False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    home.sweeps.mkdir(parents=True)
    with open_sweep(home.sweeps / "stroke-1", search_plan(), "stroke-1") as sweep:
        for event in few(search_plan(), [0.6, 0.7])[1:]:
            sweep.append(event)
    return home


def test_the_command_writes_the_report_of_a_sweep_that_has_not_ended(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    command.report("stroke-1")
    path = Path(capsys.readouterr().out.strip())
    assert path == page_of_sweep(home.sweeps / "stroke-1")
    assert "running or killed" in Page(path).text


def test_the_command_writes_elsewhere_and_there_again(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "for a colleague"
    for _ in range(2):
        command.report("stroke-1", out)
    assert Path(capsys.readouterr().out.splitlines()[-1]) == out / "index.html"
    assert not (home.sweeps / "stroke-1" / "report").exists()


def test_the_command_refuses_what_is_not_its_own(home: Home, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no sweep 'stroke1'; did you mean 'stroke-1'"):
        command.report("stroke1")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"--out .*file: is a file; name a folder"):
        command.report("stroke-1", tmp_path / "file")
    foreign = tmp_path / "site"
    foreign.mkdir()
    require_own_or_new(foreign)
    (foreign / "index.html").write_text("<html>my own page</html>")
    with pytest.raises(BadInput, match=r"--out .*site: is not empty and holds no report; name a new folder"):
        command.report("stroke-1", foreign)
    assert (foreign / "index.html").read_text() == "<html>my own page</html>"


def test_metrics_of_a_journal_may_all_be_missing(tmp_path: Path) -> None:
    events = few(search_plan(), [0.6])
    events.insert(-1, EpochEnded(trial=0, epoch=3, metrics=dict.fromkeys(metrics_at(0.5, Random(0)))))
    page = written(tmp_path, replay(events))
    assert page.data["trials"][0]["y"][0] == [0.6, 0.6, None]
