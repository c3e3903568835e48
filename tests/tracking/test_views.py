"""The saved views of an experiment: shipped once, left alone when changed, and opened in a browser as they will be."""

import json
from pathlib import Path

import pytest
from browser_support import CHROMIUM, NO_CHROMIUM, document_of
from sync_support import events, write

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, Event
from orchestrator.tracking.saved_views import IMAGES, LEADERBOARD, TAG, ship_views, shipped_views
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import ensure_experiment, open_store
from orchestrator.tracking.sync import Sync


def test_views_are_shipped_for_each_kind_of_data_and_changed_ones_stay(store_home: Home) -> None:
    client = open_store(store_home, None)
    experiment_id = ensure_experiment(client, "tumor_4class", store_home)
    ship_views(client, experiment_id, "tumor_4class", "real")
    ship_views(client, experiment_id, "tumor_4class", "phantom")
    tag = f"{TAG}.{LEADERBOARD.key('real')}"
    held = client.get_experiment(experiment_id).tags
    named = {json.loads(text)["name"] for key, text in held.items() if key.startswith(TAG)}
    assert named == {f"{view}{kind}" for view in ("Leaderboard", "Curves", "Images") for kind in ("", " (phantom)")}
    state = json.loads(json.loads(held[tag])["state"])
    assert state["orderByKey"] == "metrics.`best/auroc`" and state["orderByAsc"] is False
    assert "`orchestrate.data_kind` = 'real'" in state["searchFilter"]
    assert "tags.`orchestrate.finalist`" in state["selectedColumns"]
    client.set_experiment_tag(experiment_id, tag, "mine")
    ship_views(client, experiment_id, "tumor_4class", "real")
    assert client.get_experiment(experiment_id).tags[tag] == "mine"
    (real, phantom) = [view for view in shipped_views(client) if view.registered_name.startswith("tumor_4class")]
    assert (real.registered_name, phantom.registered_name) == ("tumor_4class", "tumor_4class_phantom")
    assert real.addresses["Leaderboard"].endswith(
        f"/experiments/{experiment_id}/runs?viewStateShareKey=orchestrate-leaderboard-real&workflowType=machine_learning"
    )


def _better(event: Event, by: dict[int, float]) -> Event:
    if not isinstance(event, EpochEnded):
        return event
    score = {"val/auroc": event.metrics["val/auroc"] + by[event.trial]}
    return event.model_copy(update={"metrics": event.metrics | score})


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_browser_opens_on_the_leaderboard_with_the_best_trial_first(sweep: Path, store_home: Home) -> None:
    better = {0: 0.0, 1: 0.15, 2: -0.1}  # neither in the order of their making nor the reverse
    write(sweep, [_better(event, better) for event in events("viewed")])
    Sync(sweep, store_home, None).pass_once()
    client = open_store(store_home, None)
    best = client.search_runs(
        [ensure_experiment(client, "stroke", store_home)],
        "tags.`orchestrate.role` = 'trial' AND tags.`orchestrate.data_kind` = 'phantom'",
        order_by=["metrics.`best/auroc` DESC"],
    )[0]
    (view,) = [one for one in shipped_views(client) if one.registered_name == "stroke_phantom"]
    uri = f"sqlite:///{store_home.mlflow / 'mlflow.db'}"
    with mlflow_server(uri, store_home.mlflow / "artifacts", Address(HOST, free_port())) as url:
        page = document_of(f"{url}{view.addresses[LEADERBOARD.name]}", "--window-size=1600,900")
        pictures = document_of(f"{url}{view.addresses[IMAGES.name]}", "--window-size=1600,1200")
    assert "Leaderboard (phantom)" in page
    assert best.info.run_name.startswith("0001")
    places = [page.index(f"{number:04d} resnet_vit") for number in (1, 0, 2)]
    assert places == sorted(places), "the best trial is the first row"
    for column in ("best/auroc", "orchestrate.architecture", "orchestrate.stop_reason"):
        assert column in page, column
    assert "get-artifact?path=images%2Fconfusion_matrix_validation" in pictures
