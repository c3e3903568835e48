import itertools

from orchestrator.plan import SweepPlan
from orchestrator.seeds import SeedPath, child_seed


def test_equal_plans_have_equal_digests(plan: SweepPlan) -> None:
    assert plan.digest == SweepPlan.model_validate_json(plan.model_dump_json()).digest


def test_anything_changed_changes_the_digest(plan: SweepPlan) -> None:
    changed = [
        plan.model_copy(update={"seed": 1}),
        plan.model_copy(update={"metric": "accuracy"}),
        plan.model_copy(update={"weights": "pretrained"}),
        plan.model_copy(update={"data": plan.data.model_copy(update={"split_digest": "x"})}),
        plan.model_copy(update={"budget": plan.budget.model_copy(update={"trials": 99})}),
    ]
    digests = {plan.digest, *(other.digest for other in changed)}
    assert len(digests) == 1 + len(changed)


def test_a_phantom_is_never_registered_under_the_real_name(plan: SweepPlan) -> None:
    assert plan.registered_name == "stroke_phantom"
    real = plan.model_copy(update={"data": plan.data.model_copy(update={"kind": "real"})})
    assert real.registered_name == "stroke"


def test_seeds_differ_by_path_and_repeat() -> None:
    paths = [(use, number) for use, number in itertools.product(SeedPath, range(50))]
    seeds = [child_seed(7, *path) for path in paths]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [child_seed(7, *path) for path in paths]
    assert child_seed(8, *paths[0]) != seeds[0]
