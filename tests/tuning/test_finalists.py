"""A finalist evaluated without Ray: what the journal keeps, what its folder holds, that severity comes all the way."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from orchestrator.tuning.finalists import evaluate_finalist
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trial import begin_training
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.catalog import default_hyperparameters
from trainables.data.cache import digest_file
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.explain.settings import explanation_settings

SIDE_PX = 16


def write_side(folder: Path, name: str, rows: list[SplitRow]) -> tuple[Path, Path]:
    """Write rows and images, brighter the higher the class index; return both files."""
    rng = np.random.default_rng(0)
    labels_N = np.array([row.label for row in rows])
    images_NHW = rng.integers(0, 120, (len(rows), SIDE_PX, SIDE_PX)) + 40 * labels_N[:, None, None]
    np.save(folder / f"{name}.npy", images_NHW.astype(np.uint8))
    write_rows(folder / f"{name}.csv", rows)
    return folder / f"{name}.csv", folder / f"{name}.npy"


def test_a_finalist_of_ordered_classes(tmp_path: Path) -> None:
    development = [
        SplitRow(f"{n}.png", n % 4, "MR", f"p{n}", "validation" if n >= 48 else "training", f"{n}") for n in range(96)
    ]
    held_out = [SplitRow(f"t{n}.png", n % 4, "MR", f"t{n}", "test", f"t{n}") for n in range(40)]
    rows, images = write_side(tmp_path, "development", development)
    test_rows, test_images = write_side(tmp_path, "test", held_out)
    setup = TrialSetup(
        development=rows, development_digest=digest_rows(development), arrays={str(SIDE_PX): images},
        pretrained=False, epochs=1, metric="quadratic_kappa", device="cpu", threads=torch.get_num_threads(),
        trials=tmp_path / "trials", task="alzheimer", keep_every_epochs=1,
    )  # fmt: skip
    (tmp_path / "setup.json").write_text(setup.model_dump_json())
    config = TrialConfig(
        trial=0, architecture="baseline_cnn", seed=0, published=False, setup=tmp_path / "setup.json",
        hyperparameters=default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX},
    )  # fmt: skip
    (record,) = begin_training(config, setup)
    assert record.metrics["val/quadratic_kappa"] is not None
    test = TestData(
        rows=test_rows, rows_digest=digest_rows(held_out), test_digest="t" * 32, arrays={str(SIDE_PX): test_images},
        array_digests={str(SIDE_PX): digest_file(test_images)}, ledger=tmp_path / "ledger.jsonl", who="s",
        root=tmp_path, explaining=explanation_settings(quick=True, seed=0),
    )  # fmt: skip
    event = evaluate_finalist(config, setup, test, tmp_path / "finalist")
    for name, value in event.validation.items():
        assert value == pytest.approx(record.metrics[f"val/{name}"], abs=1e-6), "best weights, evaluated again"
    assert event.test["quadratic_kappa"] is not None
    assert event.test_groups == event.leak_free_images == 40
    assert event.test_leak_free == event.test
    assert event.further["test/class_very_mild/support"] == 10
    for side in ("validation", "test"):
        assert len(list((tmp_path / "finalist" / side).glob("*.png"))) == 7
    explanations = tmp_path / "finalist" / "explanations"
    told = json.loads((explanations / "explanations.json").read_text())
    assert set(told["explainers"]) == {"CNN", "CNN fine"} and told["refused"] == []
    means = told["explainers"]["CNN"]["summary"]["all_images"]["map"]
    assert event.further["explanations/CNN/map/deletion"] == means["deletion"]["value"]
    last = told["explainers"]["CNN"]["randomisation"]["steps"][-1:]
    alike = last[0]["alike"] if last else None
    assert event.further.get("explanations/CNN/alike_of_noise") == alike
    assert {"cases.csv", "maps.npz", "proof.csv", "proof.png"} < {path.name for path in explanations.iterdir()}
    weights = setup.trial_folder(config) / "best.safetensors"
    kept = (explanations.parent / "evidence" / "weights.sha256").read_text()
    assert kept == hashlib.sha256(weights.read_bytes()).hexdigest()
    every_nth = tmp_path / "finalist" / "checkpoints" / "model_epoch_001.safetensors"
    assert load_file(every_nth).keys() == load_file(weights).keys(), "as artifacts they reach MLflow"
    metrics = json.loads((tmp_path / "finalist" / "metrics.json").read_text())
    assert metrics["test"]["overall"]["metrics"] == event.test
    assert metrics["severity"] == ["non", "very_mild", "mild", "moderate"]
    table = (tmp_path / "finalist" / "alzheimer_classification_results.csv").open()
    assert [row["path"] for row in csv.DictReader(table)] == [row.path for row in held_out]
