"""What a user can get wrong on the command line: one line, exit 2, nothing started, nothing lost."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests_support import TINY, Orchestrate, run_here, with_phantom

from orchestrator.home import Home
from orchestrator.inspecting import fitness

SWEEP = ["sweep", "stroke_hybrid"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all that is refused."""
    return with_phantom(tmp_path_factory.mktemp("refused") / "home")


@pytest.fixture
def in_process(home: Path) -> Orchestrate:
    """Run a command in this process and in that home, which spares every case the start of one."""
    return partial(run_here, home)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep", "stroke"], "no sweep 'stroke', but a task: orchestrate sweep --task stroke"),
        (["sweep", "stroke_hibrid"], "no sweep 'stroke_hibrid'; did you mean 'stroke_hybrid'"),
        (["sweep", "nowhere.yaml"], "sweep file nowhere.yaml: no such file"),
        (["sweep"], "sweep: say which: one or more names (orchestrate list sweeps), --task TASK, or --all"),
        (["sweep", "--task", "strok"], "--task: no task 'strok'; did you mean 'stroke'?"),
        (["sweep", "--task", "nowhere.yaml"], "nowhere.yaml: cannot be read (No such file or directory)"),
        (["sweep", "--all", "--architectures", "vitt"], "no architecture of these sweeps 'vitt'; did you mean 'vit'?"),
        (["sweep", "--all", "--data", "here"], "--data here: one folder for the tasks"),
        (["init", "nowhere"], "nowhere: no such folder or file"),
        (["swep", "stroke_hybrid"], "Did you mean 'sweep'"),
        ([*SWEEP, "--trails", "3"], "No such option: --trails"),
        ([*SWEEP, "--trials", "0"], "--trials 0: expected a whole number from 1 to 1,000,000"),
        ([*SWEEP, "--epochs", "-1"], "--epochs -1"),
        ([*SWEEP, "--finalists", "0"], "--finalists 0"),
        ([*SWEEP, "--trials", "many"], "--trials"),
        ([*SWEEP, "--slots", "0"], "--slots 0"),
        ([*SWEEP, "--slots", "some"], "--slots some"),
        ([*SWEEP, "--preset", "fast"], "--preset: no value 'fast'"),
        ([*SWEEP, "--weights", "pretraind"], "did you mean 'pretrained'"),
        ([*SWEEP, "--metric", "auc"], "did you mean 'auroc'"),
        (["sweep", "alzheimer_cnn", "--metric", "sensitivity"], "sensitivity is of two classes"),
        (
            ["sweep", "alzheimer_published", "--trials", "30"],
            "--trials 30: search.algorithm is fixed, and there are 19",
        ),
        (["leaderboard", "stroke", "--json", "--csv"], "--json and --csv: give one of them"),
        ([*SWEEP, "--metric", "quadratic_kappa"], "those of stroke have none; leave the flag out for auroc"),
        ([*SWEEP, "--architectures", "resnet_vti"], "did you mean 'resnet_vit'"),
        ([*SWEEP, "--set", "lrr=1"], "did you mean 'lr'"),
        ([*SWEEP, "--set", "lr"], "expected KEY=VALUE"),
        ([*SWEEP, "--set", "lr=1e-4", "--set", "lr=1e-3"], "--set lr: is given twice"),
        ([*SWEEP, "--exclude", "resnet_vit"], "--exclude: leaves no architecture of resnet_vit"),
        ([*SWEEP, "--exclude", "resnet_vti"], "did you mean 'resnet_vit'"),
        ([*SWEEP, "--exclude", ","], "--exclude ,: expected names, with commas between them"),
        ([*SWEEP, "--architectures", ""], "--architectures : expected names"),
        ([*SWEEP, "--time-budget", "soon"], "--time-budget soon: expected a time such as 90m or 2h"),
        ([*SWEEP, "--gpus-per-trial", "1/3"], "--gpus-per-trial 1/3: expected auto or one of 1, 1/2, 1/4, 1/8"),
        ([*SWEEP, "--gpus-per-trial", "2"], "--gpus-per-trial 2: a trial trains on one GPU; give auto or one of 1"),
        ([*SWEEP, "--gpus-per-trial", "1/2"], "--gpus-per-trial 0.5: there is no GPU here"),
        ([*SWEEP, "--max-disk", "much"], "--max-disk=much: expected a size such as 20GiB"),
        (
            [*SWEEP, "--max-disk", "0"],
            "--max-disk=0: expected more than nothing, e.g. 20GiB; leave it out for no limit",
        ),
        ([*SWEEP, "--max-disk", "0.4B"], "--max-disk=0.4B: expected more than nothing"),
        ([*SWEEP, "--max-disk", "-1GiB"], "--max-disk=-1GiB: expected a size such as 20GiB"),
        (["resume", "x", "--max-disk", "0GiB"], "--max-disk=0GiB: expected more than nothing"),
        ([*SWEEP, "--allocation", "fair"], "--allocation: no value 'fair'"),
        ([*SWEEP, "--id", "a/b"], "--id a/b: expected up to 100 letters"),
        (["status", "x"], "no sweep 'x'; Known: none"),
        (["stop", "../x"], "no sweep '../x'; Known: none"),
        (["logs", "x"], "no sweep 'x'; Known: none"),
        (["replay", "x", "1"], "no sweep 'x'; Known: none"),
        ([*SWEEP, "--set", "lr=fast"], "--set: architectures.resnet_vit.lr"),
        ([*SWEEP, "--set", "resnet=resnet51"], "timm has no model 'resnet51'"),
        ([*SWEEP, "--set", "image_px=100"], "multiple of 16"),
        ([*SWEEP, "--set", "image_px={int: [32, 64], default: 32}"], "use choice"),
        ([*SWEEP, "--data", "nowhere"], "--data: nowhere: no such folder"),
        ([*SWEEP, "--folds", "0"], "--folds 0: expected a whole number of at least 1"),
        ([*SWEEP, "--seeds", "0"], "--seeds 0: expected a whole number of at least 1"),
        ([*SWEEP, "--folds", "500"], "ask for fewer folds"),
        ([*SWEEP, "--split", "group"], "--split: no value 'group'; did you mean 'grouped'"),
        (["data", "check", "strok"], "no task 'strok'; did you mean 'stroke'"),
        (["data", "check", "stroke", "--data", "nowhere"], "--data: nowhere: no such folder"),
        (["data", "phantom", "stroke", "/usr"], "/usr: is not empty; name a new folder"),
        (
            ["data", "phantom", "alzheimer", "new", "--patients", "9"],
            "--patients 9: alzheimer has 4 classes; 16 are needed",
        ),
        (["data", "fetch", "stroke"], "say where to: --out DIR"),
        (["gc", "--max-cache", "much"], "--max-cache=much: expected a size such as 20GiB"),
        ([*SWEEP, "--task", "stroke"], "sweep: say one of"),
        (["list", "runz"], "did you mean 'runs'"),
        (["leaderboard", "stroke"], "no sweep has been run yet"),
        (["predict", "stroke", "nowhere.png"], "nowhere.png: no such file or folder"),
        (["ui", "--port", "0"], "--port 0"),
        (["ui", "--host", ""], "--host : expected a name or an IPv4 address"),
        (["ui", "--host", "::1"], "--host ::1: expected a name or an IPv4 address"),
        (["ui", "--host", "0.0.0.0"], "others could reach it; set ORCHESTRATE_UI_PASSWORD"),
        (["predict", "stroke", ""], "an empty path"),
        (["evaluate", "stroke"], "Missing option '--data'"),
        (["evaluate", "strok", "--data", "phantom"], "did you mean 'stroke'"),
        ([*SWEEP, "--data", ""], "--data: an empty path"),
        ([*SWEEP, "--trials", "9" * 30], "--trials 99999999999999999999: expected a whole number from 1 to 1,000,000"),
        ([*SWEEP, "--set", "budget.time_s=.inf"], "budget.time_s"),
        ([*SWEEP, "--slots", "9999"], "--slots 9999: more than"),
        (["resume", "x"], "no sweep 'x'; Known: none"),
        (["report", "x"], "no sweep 'x'; Known: none"),
        ([*SWEEP, "--set", "vit=resnet18"], "cannot be trained with its defaults"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_one_line(in_process: Orchestrate, home: Path, arguments: list[str], words: str) -> None:
    done = in_process(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""
    assert not (home / "sweeps").exists(), "nothing was started"


def test_the_command_itself_ends_with_the_exit_code(orchestrate: Orchestrate) -> None:
    done = orchestrate("sweep", "stroke_hibrid")
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_a_configured_folder_that_is_missing_is_never_replaced_by_phantoms(
    orchestrate_here: Orchestrate, tmp_path: Path
) -> None:
    done = orchestrate_here(*SWEEP, ORCHESTRATE_DATA=str(tmp_path / "nowhere"))
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "ORCHESTRATE_DATA=" in done.stderr
    (tmp_path / "sets").mkdir()
    done = orchestrate_here(*SWEEP, ORCHESTRATE_DATA=str(tmp_path / "sets"))
    assert "no folder 'stroke' in it" in done.stderr


def test_a_faulty_sweep_file_is_a_line_per_fault(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: strok\narchitectures: {resnet_vit: {lr: fast}}\nbudget: {trials: 0}\n")
    done = orchestrate_here("sweep", path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.split(": ")[:3] for line in done.stderr.splitlines()] == [
        ["orchestrate", "mine.yaml", key] for key in ("task", "architectures.resnet_vit.lr", "budget.trials")
    ]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("foo://x", "no kind of store 'foo'"),
        ("nonsense", "no kind of store"),
        ("http://127.0.0.1:9", "cannot be used"),
        ("sqlite:////proc/nowhere/x.db", "in a folder that exists"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(in_process: Orchestrate, uri: str, words: str) -> None:
    done = in_process("models", "stroke", MLFLOW_TRACKING_URI=uri)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_results_can_be_read_where_nothing_can_be_written() -> None:
    done = run_here(Path("/proc"), "list", "runs")
    assert (done.exit_code, done.stdout) == (0, "no runs yet\n")


@pytest.mark.parametrize("folder", ["/proc/orchestrate", "/dev/null/home"])
def test_a_home_that_cannot_be_written_is_told_before_anything_starts(folder: str, in_process: Orchestrate) -> None:
    done = in_process(*SWEEP, ORCHESTRATE_HOME=folder)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "ORCHESTRATE_HOME" in done.stderr


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here; the same rule is tested in tests/core/test_home.py")
    try:
        done = run_here(disk / "home", *SWEEP)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.exit_code == 2
    assert "0 MiB free" in done.stderr or "1 MiB free" in done.stderr


def test_pretrained_weights_without_network_are_told_before_anything_starts(
    orchestrate_here: Orchestrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_phantom(tmp_path / "home")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    done = orchestrate_here(*SWEEP, "--weights", "pretrained", "--set", "resnet=resnet18")
    assert done.exit_code == 2
    assert "pretrained weights of resnet18 cannot be had" in done.stderr
    assert "--weights random" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "home" / "sweeps").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: shutil.rmtree(root / "deep" / "test" / "strokeMR"), "no stroke images of modality MR"),
        (lambda root: shutil.rmtree(root / "deep" / "train" / "1- Stroke"), "no stroke images"),
        (lambda root: [path.write_bytes(b"") for path in sorted(root.rglob("*.jpg"))[:8]], "more than 5%"),
        (lambda root: shutil.rmtree(root / "deep"), "--data"),
    ],
    ids=["no modality", "one class", "many unreadable", "empty"],
)
def test_wrong_data_is_one_line(in_process: Orchestrate, home: Path, tmp_path: Path, damage, words: str) -> None:
    from trainables.data.phantom import write_stroke_phantom

    root = tmp_path / "set"
    root.mkdir()
    write_stroke_phantom(root, train_patients=8, test_patients=4)
    damage(root)
    done = in_process(*SWEEP, "--data", root, *TINY)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (home / "sweeps").exists()


def test_a_dry_run_prints_the_plan_and_starts_nothing(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    with_phantom(tmp_path / "home")
    settings = ("--trials", "5", "--epochs", "4", "--finalists", "2", "--seed", "3", "--seeds", "3")
    done = orchestrate_here(*SWEEP, "--dry-run", "--json", *settings)
    assert done.exit_code == 0
    plan = done.json["plan"]
    assert (plan["budget"]["trials"], plan["seed"], plan["seeds"], plan["task"]) == (5, 3, 3, "stroke")
    assert sum(sum(counts.values()) for counts in plan["data"]["images"].values()) == 288
    again = orchestrate_here(*SWEEP, "--dry-run", *settings)
    assert done.json["plan_digest"] in again.stdout
    assert "3 seeds: 6 more trainings of finalists, at most 24 epochs beside the 20 of the search" in again.stdout
    assert not (tmp_path / "home" / "sweeps").exists()
    assert not (tmp_path / "home" / "mlflow").exists()


def test_a_dry_run_with_a_grouped_split_draws_all_sides_anew(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    with_phantom(tmp_path / "home")
    grouped = orchestrate_here(*SWEEP, "--dry-run", "--json", "--split", "grouped").json["plan"]["data"]
    assert grouped["split"] == "grouped"
    reads = [json.loads(line) for line in (tmp_path / "home" / "test_reads.jsonl").read_text().splitlines()]
    shipped, drawn = reads
    assert drawn["test_digest"] == grouped["test_digest"] != shipped["test_digest"]
    sizes = {side: sum(counts.values()) for side, counts in grouped["images"].items()}
    assert sizes["test"] == drawn["images"] == pytest.approx(shipped["images"], abs=15)
    assert sizes["validation"] / (288 - sizes["test"]) == pytest.approx(0.15, abs=0.05)
    assert sum(sizes.values()) == 288


def test_lists_say_what_is_defined(orchestrate_here: Orchestrate) -> None:
    sweeps = [row["sweep"] for row in orchestrate_here("list", "sweeps", "--json").json["sweeps"]]
    assert {"alzheimer_cnn", "stroke_hybrid"} <= set(sweeps)
    tasks = [row["task"] for row in orchestrate_here("list", "tasks", "--json").json["tasks"]]
    assert tasks == ["stroke", "tumor_binary", "tumor_4class", "alzheimer", "tumor_ct_mri"]
    assert "resnet_vit" in orchestrate_here("list", "architectures").stdout
    assert orchestrate_here("list", "runs").stdout == "no runs yet\n"


def test_doctor_finds_this_machine_fit(orchestrate_here: Orchestrate) -> None:
    done = orchestrate_here("doctor", "--json")
    assert done.exit_code == 0
    checks = {check["name"]: check for check in done.json["checks"]}
    assert checks["torch and torchvision"]["ok"]
    assert checks["ORCHESTRATE_HOME"]["ok"] is not False
    assert checks["MLflow store"]["ok"] and checks["MLflow store"]["found"].endswith("answers")
    assert checks["promotion locks"] == {"name": "promotion locks", "ok": True, "found": "none is held"}
    assert {"python", "ray", "optuna", "mlflow", "shared memory", "ports", "kaggle"} <= set(checks)
    assert "without --data sweeps train on phantom images" in checks["ORCHESTRATE_DATA"]["found"]


def test_doctor_names_a_home_that_cannot_be_written(in_process: Orchestrate) -> None:
    done = in_process("doctor", ORCHESTRATE_HOME="/proc/x")
    assert done.exit_code == 2
    assert "FAULT ORCHESTRATE_HOME" in done.stdout


def test_doctor_names_what_does_not_fit_and_the_way_out(
    in_process: Orchestrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "stroke").mkdir(parents=True)
    known = dict(ORCHESTRATE_DATA=str(tmp_path / "data"), MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    versions = {"timm": "0.9.2"}
    whole = fitness.version
    monkeypatch.setattr(fitness, "version", lambda name: versions.get(name) or whole(name))
    monkeypatch.setattr(fitness.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("orchestrator.cli.environment.home", lambda: Home(tmp_path))
    done = in_process("doctor", **known)
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert "FAULT timm: 0.9.2, needed is <2,>=1.0.20: pip install -c constraints.txt -e ." in lines
    assert "FAULT shared memory: 1 MiB in /dev/shm, Ray takes 200 MiB; in a container say --shm-size=1g" in lines
    assert any(line.startswith("FAULT MLflow store: MLflow store http://127.0.0.1:9: cannot be used") for line in lines)
    assert any(line.startswith("note  ORCHESTRATE_HOME") and "orchestrate gc" in line for line in lines)
    assert any(line.startswith("ok    ORCHESTRATE_DATA") and "without tumor_binary" in line for line in lines)
