from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.promotion.policy import DEFAULT_POLICY, policy_file, read_policy

OPERATORS = Path(__file__).parents[2] / "mlflow" / "promotion.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "promotion.yaml"
    path.write_text(text)
    return path


def test_the_documented_policy_is_the_packaged_one() -> None:
    assert OPERATORS.read_bytes() == DEFAULT_POLICY.read_bytes()


def test_a_file_says_only_what_differs_and_a_task_comes_last(tmp_path: Path) -> None:
    path = written(tmp_path, "default: {level: 0.01}\ntasks:\n  stroke: {least_sensitivity: 0.5, level: 0.02}\n")
    stroke, other = read_policy(path, "stroke"), read_policy(path, "tumor_binary")
    packaged = read_policy(DEFAULT_POLICY, "stroke")
    assert (stroke.level, stroke.least_sensitivity) == (0.02, 0.5)
    assert (other.level, other.least_sensitivity) == (0.01, packaged.least_sensitivity)
    assert stroke.margin == packaged.margin
    assert (
        read_policy(written(tmp_path, "default: {most_miscalibration: null}\n"), "stroke").most_miscalibration is None
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("defaults: {}\n", "promotion.yaml: no key 'defaults'; did you mean 'default'?"),
        ("tasks: {strok: {}}\n", "tasks: no task 'strok'; did you mean 'stroke'?"),
        ("default: {levl: 0.05}\n", "default: no rule 'levl'; did you mean 'level'?"),
        ("tasks: {stroke: {level: high}}\n", "tasks.stroke.level: Input should be a valid number"),
        ("default: {level: 7}\n", "default.level: Input should be less than 1, got 7"),
        ("", "promotion.yaml: expected keys such as default and tasks, got nothing"),
        ("default: [1]\n", "default: expected rules such as level: 0.05"),
    ],
)
def test_a_wrong_policy_is_one_line_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInput) as error:
        read_policy(written(tmp_path, text), "stroke")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_homes_own_policy_comes_before_the_packaged_one(tmp_path: Path) -> None:
    assert policy_file(Home(tmp_path)) == DEFAULT_POLICY
    assert policy_file(Home(tmp_path)) != written(tmp_path, "") == policy_file(Home(tmp_path))


def test_a_policy_that_is_no_regular_file_is_refused_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "promotion.yaml").mkdir()
    own = policy_file(Home(tmp_path))
    assert own == tmp_path / "promotion.yaml"
    for path in (own, Path("/dev/zero")):
        with pytest.raises(BadInput, match="is no regular file"):
            read_policy(path, "stroke")
    with pytest.raises(BadInput, match="cannot be read"):
        read_policy(tmp_path / "nothing.yaml", "stroke")
