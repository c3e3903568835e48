"""Published scores: read with the sweep file, tried as fixed points, and shown beside what the same settings score."""

from pathlib import Path

import pytest
from plan_support import data_summary
from sweep_support import epoch, open_sweep

from orchestrator.errors import BadInput
from orchestrator.journal import FinalistEvaluated, TrialEnded, TrialStarted, TrialSuggested
from orchestrator.plan import SweepPlan
from orchestrator.published_scores import published_note, repeated_points
from orchestrator.ranking import leaderboard, score_columns, to_markdown
from orchestrator.sweep_file import SweepFile, load_sweep_file
from orchestrator.tuning.studies import Studies
from trainables.catalog import default_hyperparameters

FILE = """
task: alzheimer
architectures:
  baseline_cnn:
    image_px: 64
    batch_size: {choice: [16, 32], default: 32}
    most_epochs: {choice: [0, 10, 20], default: 10}
  timm/resnet10t: {image_px: 64}
budget: {trials: 9, epochs: 30}
search: {algorithm: fixed}
published:
  source: the table of a project
  images: 1280
  scores:
    - {name: Base, architecture: baseline_cnn, score: 0.97}
    - {name: Base_16, architecture: baseline_cnn, score: 0.98, settings: {batch_size: 16, most_epochs: 20}}
"""


def load(tmp_path: Path, text: str = FILE, overrides: dict | None = None) -> SweepFile:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_sweep_file(path, "full", overrides)


def plan_of(file: SweepFile) -> SweepPlan:
    return SweepPlan(
        sweep="mine", task="alzheimer", classes=("a", "b", "c", "d"), preset="full", weights="random", seed=0,
        data=data_summary("real"), metric="auroc", direction="max", architectures=file.architectures,
        published=dict.fromkeys(file.architectures, False), budget=file.budget, search=file.search,
        scheduler=file.scheduler, published_scores=file.published,
    )  # fmt: skip


def test_fixed_tries_the_published_settings_and_elsewhere_the_defaults_and_ends(tmp_path: Path) -> None:
    file = load(tmp_path)
    studies = Studies(plan_of(file), None)
    asked = [studies.ask(number, list(file.architectures)) for number in range(4)]
    assert asked[3] is None
    tried = [(one.architecture, one.chosen.get("batch_size"), one.chosen.get("most_epochs")) for one in asked[:3]]
    assert tried[0] == ("baseline_cnn", 32, 10)
    assert tried[1][0] == "timm/resnet10t"
    assert tried[2] == ("baseline_cnn", 16, 20)


def test_an_override_changes_what_repeats_a_published_model(tmp_path: Path) -> None:
    points = load(tmp_path, overrides={"image_px": "32"}).search.enqueue["baseline_cnn"]
    assert [point["image_px"] for point in points] == [32, 32]


def test_an_override_that_a_published_model_does_not_fit_leaves_it_out_or_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"mine.yaml with --set: published.scores.1.settings.batch_size: 16 is not one"):
        load(tmp_path, overrides={"batch_size": "8"})
    file = load(tmp_path, FILE.replace("algorithm: fixed", "algorithm: tpe"), overrides={"batch_size": "8"})
    assert [score.name for score, _ in repeated_points(plan_of(file))] == ["Base"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size: 16", "batch_size: 7", "published.scores.1.settings.batch_size: 7 is not one of [16, 32]"),
        ("batch_size: 16", "lr: 1", "published.scores.1.settings.lr: no parameter of this space 'lr'"),
        ("architecture: baseline_cnn, score: 0.97", "architecture: base_cnn, score: 1", "did you mean 'baseline_cnn'"),
        ("score: 0.98", "scor: 0.98", "published.scores.1.scor: no key 'scor'; did you mean 'score'"),
        ("score: 0.98", "score: high", "published.scores.1.score: "),
        ("source: the table of a project", "source: ''", "published.source: missing; say whose scores these are"),
        ("score: 0.98", "score: 98", "published.scores.1.score: 98 is no accuracy; a share of 1, e.g. 0.98"),
        ("score: 0.98", "score: -0.1", "published.scores.1.score: -0.1 is no accuracy"),
        ("name: Base_16", "name: Base", "published.scores.1: has the name of published.scores.0"),
        ("name: Base_16", 'name: "a\\nb"', "published.scores.1.name: expected printable text, got 'a\\nb'"),
        (", settings: {batch_size: 16, most_epochs: 20}", "", "published.scores.1: has architecture and settings of"),
        ("images: 1280", "metric: accurcy", "published.metric: no metric 'accurcy'; did you mean 'accuracy'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_published_score_is_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, FILE.replace(old, new))
    assert words in str(caught.value)


def test_published_scores_decide_nothing(tmp_path: Path) -> None:
    other = FILE.replace("score: 0.98", "score: 0.5").replace("the table of a project", "another")
    assert plan_of(load(tmp_path)).digest == plan_of(load(tmp_path, other)).digest


def test_the_leaderboard_shows_ours_beside_theirs(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path))
    with open_sweep(tmp_path / "s", plan) as sweep:
        for number, changes in enumerate([{}, {"batch_size": 16, "most_epochs": 20}, {"batch_size": 16}]):
            whole = default_hyperparameters("baseline_cnn") | {"image_px": 64, "most_epochs": 10} | changes
            epochs = 20 if number == 1 else 1
            sweep.append(
                TrialSuggested(
                    trial=number, architecture="baseline_cnn", hyperparameters=whole, seed=0, published=False
                )
            )
            sweep.append(TrialStarted(trial=number))
            for at in range(1, epochs + 1):
                sweep.append(epoch(number, at, 0.9 - number / 10))
            sweep.append(TrialEnded(trial=number, state="completed", reason=""))
        tested = {"auroc": 0.91, "accuracy": 0.93}
        sweep.append(
            FinalistEvaluated(trial=1, validation=tested, test=tested, test_intervals={"accuracy": (0.9, 0.96)})
        )
        rows = leaderboard([sweep.state])
    columns = score_columns(rows, "auroc")
    assert columns["published accuracy"] == ["0.9700 [0.96, 0.98] \u2260", "0.9800 [0.97, 0.99] \u2260", "-"]
    assert rows[0].published.differs == ("image_px=64", "1 of 10 epochs")
    assert rows[1].published.differs == ("image_px=64",)
    assert columns["test accuracy"] == ["-", "0.9300 [0.90, 0.96]", "-"]
    assert "published accuracy" in to_markdown(rows, "auroc")
    assert "the table of a project, on 1,280 test images" in to_markdown(rows, "auroc")
    assert rows[1].to_json()["published"]["name"] == "Base_16"
    note = published_note([row.published for row in rows])
    assert note == (
        "published: the table of a project, on 1,280 test images; \u2260: trained otherwise here "
        "(orchestrate leaderboard --json says how)"
    )
    assert not published_note([None])


def test_what_is_repeated_to_the_letter_bears_no_mark(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, FILE.replace("image_px: 64\n    batch", "image_px: 128\n    batch")))
    with open_sweep(tmp_path / "s", plan) as sweep:
        whole = default_hyperparameters("baseline_cnn") | {"most_epochs": 10}
        sweep.append(
            TrialSuggested(trial=0, architecture="baseline_cnn", hyperparameters=whole, seed=0, published=False)
        )
        sweep.append(TrialStarted(trial=0))
        for at in range(1, 11):
            sweep.append(epoch(0, at, 0.9))
        (row,) = leaderboard([sweep.state])
    assert row.published.differs == ()
    assert score_columns([row], "auroc")["published accuracy"] == ["0.9700 [0.96, 0.98]"]


def test_epochs_of_the_file_are_told_where_the_architecture_publishes_none(tmp_path: Path) -> None:
    fixed = FILE.replace("baseline_cnn", "keras_like_cnn").replace(
        "image_px: 64\n    batch", "image_px: 128\n    batch"
    )
    with open_sweep(tmp_path / "s", plan_of(load(tmp_path, fixed))) as sweep:
        whole = default_hyperparameters("keras_like_cnn") | {"most_epochs": 10}
        sweep.append(
            TrialSuggested(trial=0, architecture="keras_like_cnn", hyperparameters=whole, seed=0, published=False)
        )
        sweep.append(TrialStarted(trial=0))
        sweep.append(epoch(0, 1, 0.9))
        (row,) = leaderboard([sweep.state])
    assert row.published.differs == ("1 of 10 epochs",)
