from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from copies_support import SourceImage, audit_input, folder_images, phantom_images
from planted_copies import planted_copy
from tests_support import REAL_DATA

from trainables.audit.facts import AuditInput
from trainables.audit.near_duplicates import DuplicatePair, find_near_duplicates
from trainables.audit.orientations import ORIENTATIONS, inverse, orient
from trainables.audit.unions import joined
from trainables.data.phantom import PHANTOMS

PLANTED = [
    ("exact copy", 0.0, "bytes", "byte for byte"),
    ("JPEG quality", 30.0, "near", "same orientation"),
    ("resized x", 0.5, "near", "same orientation"),
    ("mirrored", 0.0, "near", "mirrored"),
    ("upside down", 0.0, "near", "upside down"),
    ("quarter turns", 1.0, "near", "turned"),
    ("rotated deg", 5.0, "near", "same orientation"),
    ("brightness x", 1.2, "near", "same orientation"),
    ("blurred px", 1.0, "near", "same orientation"),
    ("noise sd", 5.0, "near", "same orientation"),
    ("cropped %", 5.0, "near", "same orientation"),
    ("padded %", 10.0, "near", "same orientation"),
    ("inverted", 0.0, "near", "same orientation, negative"),
    ("mirror, rotate, brightness", 5.0, "near", "mirrored"),
]
EACH = 4


def find(images: AuditInput) -> list[DuplicatePair]:
    return find_near_duplicates(images, lambda *_: None)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> list[SourceImage]:
    folder = tmp_path_factory.mktemp("phantom")
    PHANTOMS["tumor_4class"](folder, 60, 0)
    return phantom_images(folder)


@pytest.fixture(scope="module")
def with_copies(phantom: list[SourceImage]) -> tuple[AuditInput, list[DuplicatePair], dict[int, tuple[str, int]]]:
    """The phantom with copies of every kind; index of a copy -> its kind and the index of its original."""
    rng = np.random.default_rng(0)
    bank, origins = list(phantom), {}
    for kind, strength, *_ in PLANTED:
        for i in rng.choice(len(phantom), EACH, replace=False):
            origins[len(bank)] = (kind, int(i))
            content = planted_copy(phantom[i].content, kind, strength, rng)
            bank.append(replace(phantom[i], path=f"{kind} {i}", content=content))
    images = audit_input(bank)
    return images, find(images), origins


@pytest.mark.parametrize(("kind", "kind_of_pair", "how"), [(kind, pair, how) for kind, _, pair, how in PLANTED])
def test_planted_copies_are_found(with_copies, kind: str, kind_of_pair: str, how: str) -> None:
    images, pairs, origins = with_copies
    group_N = joined(len(images.images), ((pair.first, pair.second) for pair in pairs)).numbers()
    own = {copy: original for copy, (planted, original) in origins.items() if planted == kind}
    assert sum(group_N[copy] == group_N[original] for copy, original in own.items()) == EACH
    found = [pair for pair in pairs if own.get(pair.second) == pair.first]
    assert found
    assert all(pair.kind == kind_of_pair and pair.how.startswith(how) for pair in found)


def test_clean_phantom_has_few_false_pairs(phantom: list[SourceImage]) -> None:
    pairs = find(audit_input(phantom))
    false = [pair for pair in pairs if phantom[pair.first].patient != phantom[pair.second].patient]
    assert len(false) <= 1


def test_same_pixels_in_another_file_format(phantom: list[SourceImage]) -> None:
    one = phantom[0]
    copy = replace(one, content=planted_copy(one.content, "stored as PNG", 0, np.random.default_rng(0)))
    [pair] = find(audit_input([one, copy]))
    assert (pair.first, pair.second, pair.kind, pair.correlation) == (0, 1, "pixels", 1.0)


def test_clusters_of_copies_give_a_spanning_set(phantom: list[SourceImage]) -> None:
    pairs = find(audit_input([phantom[0]] * 30 + [phantom[40]]))
    assert len(pairs) == 29


def test_the_same_input_gives_the_same_pairs(phantom: list[SourceImage]) -> None:
    images = audit_input(phantom[:60])
    assert find(images) == find(images)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_and_flat_images_have_no_copies(phantom: list[SourceImage], count: int) -> None:
    images = audit_input(phantom[:5])
    few = AuditInput(images.classes, images.images[:count], np.full((count, 64, 64), 7, np.uint8))
    assert find(few) == []


def test_progress_reaches_its_end(phantom: list[SourceImage]) -> None:
    calls: list[tuple[str, int, int]] = []
    find_near_duplicates(audit_input(phantom[:40]), lambda *call: calls.append(call))
    last = {name: (done, of) for name, done, of in calls}
    assert set(last) == {"comparing images", "checking copies"}
    assert all(done == of for done, of in last.values())


def test_orientations_undo_each_other() -> None:
    picture_HW = np.arange(16).reshape(4, 4)
    for orientation in ORIENTATIONS:
        assert (orient(orient(picture_HW, orientation), inverse(orientation)) == picture_HW).all()


def real_set(name: str) -> list[SourceImage]:
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"no real images at {REAL_DATA}; set ORCHESTRATE_REAL_DATA to a folder that holds {name}/")
    return folder_images(folder)


def test_real_4class_twins_across_the_split() -> None:
    sources = real_set("brain_tumor_4class")
    pairs = find(audit_input(sources))
    crossing = [pair for pair in pairs if len({Path(sources[i].path).parts[0] for i in (pair.first, pair.second)}) == 2]
    identical = [pair for pair in crossing if pair.kind == "bytes"]
    assert len({sources[pair.first].content for pair in identical}) == 9  # groups; one has two files on one side
    group_N = joined(len(sources), ((pair.first, pair.second) for pair in pairs)).numbers()
    is_training_N = np.array([source.path.startswith("Training") for source in sources])
    assert 22 <= np.isin(group_N[~is_training_N], group_N[is_training_N]).sum() <= 30
    assert all(sources[pair.first].label == sources[pair.second].label for pair in pairs)


def test_real_binary_copies() -> None:
    pairs = find(audit_input(real_set("brain_mri_binary")))
    identical = [pair for pair in pairs if pair.kind == "bytes"]
    assert len(identical) == 28 - 13  # 28 files in 13 groups
    assert 8 <= len(pairs) - len(identical) <= 24


def test_real_ct_mri_copies() -> None:
    sources = real_set("ct_mri_paired")
    pairs = find(audit_input(sources))
    [identical] = [pair for pair in pairs if pair.kind == "bytes"]
    names = {Path(sources[i].path).stem for i in (identical.first, identical.second)}
    assert names == {"mri_healthy (10)", "mri_healthy (13)"}


def test_real_stroke_has_no_copies() -> None:
    assert find(audit_input(real_set("stroke_multimodal"))) == []
