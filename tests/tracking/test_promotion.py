import contextlib
import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from evidence_support import POLICY, Model, TestSet, draw_predictions
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from registry_support import NAME, Registry

from orchestrator.cli import promotion as commands
from orchestrator.errors import BadInput, EvidenceAltered, PromotionRefused
from orchestrator.home import Home
from orchestrator.promotion.checks import RivalAnswers
from orchestrator.promotion.evidence import EvidenceFolder
from orchestrator.tracking import promotion as module
from orchestrator.tracking.promotion import (
    promote,
    roll_back,
    stored_decision,
    stored_notes,
)
from orchestrator.tracking.promotion_lock import EXPIRES, OWNER, locks_in_words, promotion_lock
from orchestrator.tracking.store import open_store

GOOD, BETTER, EQUAL = Model(signal=1.5, seed=1), Model(signal=3.2, seed=2), Model(signal=1.5, seed=3)


@pytest.fixture
def registry(store_home: Home, tmp_path: Path) -> Registry:
    client = open_store(store_home, None)
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    (tmp_path / "models").mkdir()
    return Registry(client, tmp_path / "models")


def test_a_first_good_model_is_champion_a_better_one_follows_and_rollback_brings_it_back(registry: Registry) -> None:
    first = registry.add(GOOD)
    assert registry.promote(first).moved == "promoted"
    assert registry.aliases == {"champion": first}
    second = registry.add(BETTER)
    done = registry.promote(second)
    assert (done.moved, done.rival) == ("promoted", first)
    assert registry.aliases == {"champion": second, "previous": first}
    move, decision = registry.note(second, "move_1"), registry.note(second, "decision")
    assert (move["how"], move["from"]) == ("promoted", first) and move["by"] and move["at"]
    assert decision["passed"] and decision["policy"] == "promotion.yaml" and decision["against"] == first
    assert move["report"] == {"passed": True, "checks": decision["checks"]}
    tags = registry.client.get_model_version(NAME, second).tags
    assert float(tags[f"orchestrate.p_against_{first}"]) < 0.05
    assert registry.client.get_model_version(NAME, second).description.startswith("**Promotion:** all 9 checks passed")
    assert {"name", "value", "rule", "passed"} == set(decision["checks"][0])
    assert stored_notes(registry.client.get_model_version(NAME, second)) == {"decision": decision, "moves": [move]}
    assert roll_back(registry.client, NAME) == (first, second)
    assert registry.aliases == {"champion": first, "previous": second}
    assert registry.note(first, "move_2")["how"] == "rolled back"
    assert not [model for model in registry.client.search_registered_models() if "lock" in model.name]


def test_a_refused_model_stays_challenger_unless_it_is_forced_with_a_reason(registry: Registry) -> None:
    first = registry.add(GOOD)
    registry.promote(first)
    second = registry.add(EQUAL)
    done = registry.promote(second)
    assert done.moved is None and registry.aliases == {"champion": first, "challenger": second}
    assert not registry.note(second, "decision")["passed"]
    assert registry.promote(second, "the scanner of the old one is gone").moved == "forced"
    assert registry.aliases == {"champion": second, "previous": first}
    assert registry.note(second, "move_1")["reason"] == "the scanner of the old one is gone"
    with pytest.raises(BadInput, match="is the champion already"):
        registry.promote(second)


def test_a_champion_of_other_images_is_asked_only_where_it_must_be(registry: Registry) -> None:
    first = registry.add(GOOD)
    registry.promote(first)
    asked: list[tuple[str, str]] = []

    def judge(champion: str, challenger: EvidenceFolder) -> RivalAnswers:
        asked.append((champion, challenger.evidence.test_digest))
        return RivalAnswers(draw_predictions(GOOD, elsewhere, "test").probs_NK, seen=0)

    registry.promote(registry.add(EQUAL), judge=judge)
    assert not asked, "its stored predictions are of the same images"
    elsewhere = TestSet(seed=5)
    second = registry.add(BETTER, elsewhere)
    assert [check.name for check in registry.promote(second).decision.failed] == ["same images"]
    done = registry.promote(second, judge=judge)
    assert (done.moved, done.rival) == ("promoted", first) and len(asked) == 1 and asked[0][0] == first


def test_all_who_challenged_a_champion_count(registry: Registry) -> None:
    registry.promote(registry.add(GOOD))
    for seed in (3, 4):
        registry.promote(registry.add(Model(signal=1.5, seed=seed)))
    check = next(one for one in registry.promote(registry.add(BETTER)).decision.checks if "champion" in one.name)
    assert "of 3 challengers" in check.value


def test_a_version_without_evidence_is_only_forced(registry: Registry) -> None:
    old = registry.add(None)
    with pytest.raises(BadInput, match=r"^stroke version 1: keeps no evidence; only promote --force --reason"):
        registry.promote(old)
    assert registry.promote(old, "of before").moved == "forced"
    done = registry.promote(registry.add(BETTER))
    assert [check.name for check in done.decision.failed] == ["against the champion"]


def test_of_two_promotions_at_once_the_second_is_told(registry: Registry) -> None:
    version = registry.add(GOOD)
    with (
        promotion_lock(registry.client, NAME, "alice"),
        pytest.raises(PromotionRefused, match=r"^stroke: another promotion is under way \(by alice, its lock"),
    ):
        registry.promote(version)
    assert "champion" not in registry.aliases
    assert registry.promote(version).moved == "promoted"


def test_the_lock_of_one_who_died_is_taken_over_when_its_time_is_over(registry: Registry) -> None:
    lock = f"{NAME}.promotion-lock"
    assert locks_in_words(registry.client) == []
    with promotion_lock(registry.client, NAME, "alice"):
        assert f"{lock} is held by alice until " in locks_in_words(registry.client)[0]
        registry.client.set_registered_model_tag(lock, EXPIRES, str(time.time() - 1))
        assert locks_in_words(registry.client) == [f"{lock} was left behind, the next promotion takes it over"]
        with promotion_lock(registry.client, NAME, "bob"):
            assert registry.client.get_registered_model(lock).tags["orchestrate.by"] == "bob"
    assert registry.client.search_registered_models(f"name='{lock}'") == []


def test_who_takes_over_late_does_not_take_a_new_lock(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.tracking import promotion_lock as lock_module

    lock = f"{NAME}.promotion-lock"
    with promotion_lock(registry.client, NAME, "alice"):
        expired = dict(registry.client.get_registered_model(lock).tags) | {"orchestrate.owner": "x", EXPIRES: "1"}
        reads = iter([expired, expired])  # what carol read before alice had taken over
        tags_now = lock_module._tags
        monkeypatch.setattr(lock_module, "_tags", lambda client, name: next(reads, None) or tags_now(client, name))
        with pytest.raises(PromotionRefused, match="by alice"), promotion_lock(registry.client, NAME, "carol"):
            pass
        assert registry.client.get_registered_model(lock).tags["orchestrate.by"] == "alice"


def test_evidence_that_was_changed_decides_nothing(registry: Registry) -> None:
    first, second = registry.add(GOOD), registry.add(BETTER)
    registry.promote(first)
    registry.alter(2)
    told = r"^stroke version 2: its evidence was changed: orchestrate verify stroke@2$"
    with pytest.raises(EvidenceAltered, match=told) as refused:
        registry.promote(second)
    assert refused.value.exit_code == 4, "as verify's"
    (evidence,) = registry.folder.glob("model-1/**/evidence.json")
    whole = evidence.read_text()
    evidence.write_text("{")
    with pytest.raises(EvidenceAltered, match=told):
        registry.promote(second)
    evidence.write_text(whole)
    registry.alter(1)
    third = registry.add(BETTER)
    assert [check.name for check in registry.promote(third).decision.failed] == ["against the champion"]
    shutil.rmtree(next(registry.folder.glob("model-0")))
    assert "cannot be read" in registry.promote(third).decision.failed[0].value


def test_where_the_champion_was_deleted_the_one_before_is_to_be_beaten(registry: Registry) -> None:
    first, second = registry.add(GOOD), registry.add(BETTER)
    registry.promote(first)
    registry.promote(second)
    registry.client.delete_model_version(NAME, second)
    assert registry.aliases == {"previous": first}
    assert "auroc against the champion" in {
        check.name for check in registry.promote(registry.add(EQUAL)).decision.failed
    }
    assert roll_back(registry.client, NAME) == (first, None)
    assert registry.aliases["champion"] == first and "previous" not in registry.aliases
    with pytest.raises(BadInput, match="no champion before this one"):
        roll_back(registry.client, NAME)


def test_a_challenger_that_came_meanwhile_keeps_its_alias(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    first = registry.add(GOOD)
    monkeypatch.setattr("orchestrator.tracking.promotion._note_decision", lambda *about: registry.add(BETTER))
    registry.promote(first)
    assert registry.aliases == {"champion": first, "challenger": "2"}


def test_who_lost_the_lock_moves_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    version = registry.add(GOOD)
    decide = module._decide

    def slowly(*about: object) -> object:
        registry.client.delete_registered_model(f"{NAME}.promotion-lock")
        return decide(*about)

    monkeypatch.setattr(module, "_decide", slowly)
    with pytest.raises(PromotionRefused, match="took too long"):
        registry.promote(version)
    assert registry.aliases == {"challenger": version}


def test_a_sync_that_was_broken_off_gets_into_its_own_lock_again(registry: Registry) -> None:
    lock = f"{NAME}.promotion-lock"
    registry.client.create_registered_model(lock, {OWNER: "sweep 1", EXPIRES: str(time.time() + 600)})
    with pytest.raises(PromotionRefused), promotion_lock(registry.client, NAME, "bob"):
        pass
    with promotion_lock(registry.client, NAME, "bob", owner="sweep 1"):
        pass
    assert registry.client.search_registered_models(f"name='{lock}'") == []


def test_who_died_while_taking_over_blocks_nobody_for_good(registry: Registry) -> None:
    lock = f"{NAME}.promotion-lock"
    for name in (lock, f"{lock}.takeover"):
        registry.client.create_registered_model(name, {OWNER: "dead", EXPIRES: "1"})
    with pytest.raises(PromotionRefused), promotion_lock(registry.client, NAME, "bob"):
        pass
    with promotion_lock(registry.client, NAME, "bob") as is_held:
        assert is_held()
    assert not [model for model in registry.client.search_registered_models() if "lock" in model.name]


@pytest.fixture
def settings(registry: Registry, store_home: Home, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(store_home.root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return registry


def test_the_command_prints_check_by_check_and_refuses_with_exit_code_4(
    settings: Registry, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings.add(GOOD)
    commands.promote(NAME)
    assert "stroke: version 1 is champion (promoted)" in capsys.readouterr().out
    settings.add(EQUAL)
    with pytest.raises(PromotionRefused, match=r"version 2: not promoted \(.*auroc against the champion") as error:
        commands.promote(NAME)
    assert error.value.exit_code == 4
    lines = capsys.readouterr().out.splitlines()
    assert any(line.lstrip().startswith("FAIL") and "auroc against the champion" in line for line in lines)
    assert any(line.lstrip().startswith("pass") and "better than chance" in line for line in lines)
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text("default: {cheaper_fraction: 0.99, margin: 1.0}\n")
    for wrong in ({"force": True}, {"reason": "so"}, {"version": "7"}, {"policy": tmp_path / "none.yaml"}):
        with pytest.raises(BadInput):
            commands.promote(NAME, **wrong)
    commands.promote(NAME, force=True, reason="so", as_json=True)
    assert json.loads(capsys.readouterr().out)["how"] == "forced"
    commands.rollback(NAME)
    assert capsys.readouterr().out == "stroke: version 1 is champion again, version 2 was\n"


@pytest.mark.parametrize(
    ("challenger", "refused"),
    [
        (BETTER, []),
        (EQUAL, ["sensitivity at 95% specificity", "auroc against the champion"]),
        (
            Model(signal=0.8, seed=4),
            ["sensitivity at 95% specificity", "auroc against the champion", "BT not worse"],
        ),
        (Model(signal=3.2, seed=2, leaks=12), ["no leak"]),
        (Model(signal=3.2, seed=2, overconfidence=5.0), ["calibrated"]),
        (Model(signal=6.0, signal_on_mr=0.9, seed=2), ["MR not worse"]),
    ],
    ids=["better", "equal", "worse", "leaks", "too sure", "worse on MR"],
)
def test_a_challenger_of_each_kind_is_told_check_by_check(
    settings: Registry, capsys: pytest.CaptureFixture[str], challenger: Model, refused: list[str]
) -> None:
    settings.add(GOOD, held_out := TestSet(patients=200))
    commands.promote(NAME)
    settings.add(challenger, held_out)
    with contextlib.nullcontext() if not refused else pytest.raises(PromotionRefused, match="not promoted") as error:
        commands.promote(NAME)
    assert not refused or error.value.exit_code == 4
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    failed = [line for line in lines if line.startswith("FAIL")]
    assert len(failed) == len(refused), failed
    assert all(name in line for name, line in zip(refused, failed, strict=True)), failed
    assert (settings.aliases["champion"] == "2") == (not refused)


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(registry: Registry) -> None:
    registry.promote(registry.add(GOOD))
    elsewhere, others, outcomes = TestSet(seed=5), [], []
    second, third = registry.add(BETTER, elsewhere), registry.add(BETTER, elsewhere)

    def promoted_by_another(version: str) -> None:
        try:
            outcomes.append(registry.promote(version, judge=judge).moved)
        except PromotionRefused as error:
            outcomes.append(str(error))

    def judge(champion: str, challenger: EvidenceFolder) -> RivalAnswers:
        """Decide for as long as the other one tries."""
        if not others:
            others.append(threading.Thread(target=promoted_by_another, args=(third,)))
            others[0].start()
            others[0].join()
        return RivalAnswers(draw_predictions(GOOD, elsewhere, "test").probs_NK, seen=0)

    promoted_by_another(second)
    assert outcomes[1] == "promoted" and "another promotion" in outcomes[0]
    assert registry.aliases["champion"] == second


def test_verify_refuses_a_version_whose_predictions_were_altered(
    settings: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.add(GOOD)
    commands.verify(NAME)
    assert "FAIL" not in capsys.readouterr().out
    settings.alter(1)
    with pytest.raises(PromotionRefused, match="does not hold"):
        commands.verify(f"{NAME}@1", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in told["checks"] if not check["passed"]] == ["predictions_test.csv", "numbers"]


class BreaksOff:
    """A client whose nth change of an alias does not get through."""

    def __init__(self, client: MlflowClient, nth: int) -> None:
        self._client, self._left = client, nth

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def set_registered_model_alias(self, *arguments: str) -> None:
        self._left -= 1
        if not self._left:
            raise MlflowException("the store has gone")
        self._client.set_registered_model_alias(*arguments)


@pytest.mark.parametrize("nth", [1, 2])
def test_a_promotion_that_broke_off_is_carried_out_when_it_is_asked_for_again(registry: Registry, nth: int) -> None:
    first, second, third = registry.add(GOOD), registry.add(BETTER), registry.add(Model(signal=9.0, own_noise=0.1))
    registry.promote(first)
    registry.promote(second)
    with pytest.raises(MlflowException, match="gone"):
        promote(BreaksOff(registry.client, nth), NAME, third, POLICY, "promotion.yaml")
    assert stored_decision(registry.client.get_model_version(NAME, third)) == "", "sync is to ask again"
    with contextlib.suppress(BadInput):  # it may be champion already, but for the rest of it
        registry.promote(third)
    assert registry.aliases == {"champion": third, "previous": second}
    assert registry.note(third, "move_1")["finished"] and registry.note(third, "move_1")["from"] == second
    assert "move_2" not in str(registry.client.get_model_version(NAME, third).tags)
    assert stored_decision(registry.client.get_model_version(NAME, third)).startswith("all 9 checks")


@pytest.mark.parametrize("nth", [1, 2])
def test_a_rollback_that_broke_off_forgets_no_version(registry: Registry, nth: int) -> None:
    first, second = registry.add(GOOD), registry.add(BETTER)
    registry.promote(first)
    registry.promote(second)
    with pytest.raises(MlflowException, match="gone"):
        roll_back(BreaksOff(registry.client, nth), NAME)
    assert roll_back(registry.client, NAME) == (first, second)
    assert registry.aliases == {"champion": first, "previous": second}
    assert roll_back(registry.client, NAME) == (second, first)
