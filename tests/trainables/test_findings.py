"""Findings in words, counts by the contract, and the verdict, on hand-made sets."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from audit_support import made_up_image, made_up_set

from trainables.audit.evidence import Evidence, Finding
from trainables.audit.facts import AuditedImage
from trainables.audit.findings import AuditReport, make_report
from trainables.audit.linked_images import clusters, members
from trainables.audit.near_duplicates import DuplicatePair
from trainables.audit.shortcuts import Shortcut
from trainables.audit.subjects import SubjectGroups

CONTRACT = {
    "images", "unreadable", "exact_duplicates", "near_duplicates", "groups", "group_sizes", "cross_split_leaks",
    "shortcuts", "verdict",
}  # fmt: skip


def audited(
    images: Sequence[AuditedImage],
    pairs: Sequence[DuplicatePair] = (),
    groups: Sequence[int] | None = None,
    shortcuts: Sequence[Shortcut] = (),
    unreadable: Sequence[tuple[str, str]] = (),
) -> AuditReport:
    group_N = np.arange(len(images)) if groups is None else np.array(groups)
    subjects = SubjectGroups(group_N, 0.97, "alike above the gap")
    return make_report(Evidence(made_up_set(images), pairs, subjects, shortcuts, unreadable))


def clean_images(count: int = 24) -> list[AuditedImage]:
    return [made_up_image(i, i % 2, patient_id=f"p{i}") for i in range(count)]


def changed(images: list[AuditedImage], index: int, **changes: object) -> list[AuditedImage]:
    label = changes.pop("label", images[index].label)
    changes = {"patient_id": images[index].patient_id, "shipped": images[index].shipped} | changes
    return [*images[:index], made_up_image(index, label, **changes), *images[index + 1 :]]  # type: ignore[arg-type]


def finding(report: AuditReport, kind: str) -> Finding:
    (one,) = (finding for finding in report.findings if finding.kind == kind)
    return one


def pair(first: int, second: int, kind: str = "near", correlation: float = 0.995) -> DuplicatePair:
    return DuplicatePair(first, second, kind, "mirrored", correlation)  # type: ignore[arg-type]


def test_a_clean_set_has_no_findings() -> None:
    report = audited(clean_images())
    assert report.findings == []
    assert report.verdict == "clean"


def test_an_empty_set_does_not_fail() -> None:
    assert audited([], unreadable=[("a.jpg", "empty file")]).to_json()["unreadable"] == 1


def test_the_contract_of_data_check() -> None:
    shortcut = Shortcut("border", 0.9, 0.5, 0.6, 1, True, True, None, 24, "median a: 2; b: 9")
    content = audited(clean_images(), [pair(0, 2)], [0, 1, 0, *range(3, 24)], [shortcut]).to_json()
    assert set(content) >= CONTRACT
    assert (content["images"], content["groups"], content["group_sizes"]) == (24, 23, {"1": 22, "2": 1})
    assert content["shortcuts"][0]["feature"] == "border"
    assert (content["shortcuts"][0]["score"], content["shortcuts"][0]["chance"]) == (0.9, 0.5)
    assert content["verdict"] == "warnings"
    json.dumps(content)


def test_copies_are_counted_beyond_the_first_of_a_cluster() -> None:
    """Three files of the same bytes, a fourth with the same pixels, a fifth and a sixth that only look alike."""
    pairs = [
        pair(0, 2, "bytes", 1.0), pair(2, 4, "bytes", 1.0), pair(0, 4, "bytes", 1.0), pair(4, 6, "pixels", 1.0),
        pair(0, 8), pair(2, 8), pair(10, 12),
    ]  # fmt: skip
    report = audited(clean_images(), pairs)
    assert (report.exact_duplicates, report.near_duplicates) == (3, 2)
    assert finding(report, "bytes_copies").title == "2 copies of a file, byte for byte, in 1 cluster"
    assert finding(report, "pixels_copies").count == 1
    near = finding(report, "near_copies")
    assert near.count == 2
    assert [example.images for example in near.examples] in ([(0, 8), (10, 12)], [(10, 12), (0, 8)])
    assert near.examples[0].words == "near-duplicate, mirrored, correlation 0.995"


def test_near_duplicates_within_a_known_patient_are_no_warning() -> None:
    images = changed(clean_images(), 2, patient_id="p0")
    assert finding(audited(images, [pair(0, 2)]), "near_copies").severity == "note"
    assert finding(audited(clean_images(), [pair(0, 2)]), "near_copies").severity == "warning"


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("pair", "near-duplicate, mirrored, correlation 0.995"),
        ("group", "the same subject group"),
        ("patient", "the same patient"),
        ("case", "the same case"),
    ],
)
@pytest.mark.parametrize("side", ["training", "validation"])
def test_each_way_through_the_shipped_split_is_a_leak(link: str, why: str, side: str) -> None:
    images = clean_images()
    for index in range(24):
        images = changed(images, index, shipped="test" if index < 6 else "training")
    images = changed(images, 8, shipped=side)
    assert audited(images).cross_split_leaks == 0
    groups = list(range(24))
    if link == "group":
        groups[8] = groups[0]
    elif link == "patient":
        images = changed(images, 8, patient_id="p0")
    elif link == "case":
        images = changed(images, 8, case=0)
    report = audited(images, [pair(0, 8), pair(2, 3)] if link == "pair" else [], groups)
    assert report.cross_split_leaks == 1
    assert report.leak_free_test_images == [1, 2, 3, 4, 5]
    assert report.verdict == "leaks"
    leak = report.findings[0]
    assert (leak.kind, leak.severity) == ("cross_split_leaks", "leak")
    assert (leak.examples[0].images, leak.examples[0].words) == ((0, 8), why)


def test_a_copy_of_a_copy_is_a_leak_even_if_only_the_links_between_are_named() -> None:
    images = [made_up_image(i, i % 2, shipped="test" if i < 2 else "training") for i in range(24)]
    report = audited(images, [pair(0, 1, "bytes", 1.0), pair(1, 8, "bytes", 1.0)])
    assert report.cross_split_leaks == 2
    assert {example.words for example in report.findings[0].examples} == {"the same file"}


def test_images_without_patients_are_not_one_patient() -> None:
    images = [made_up_image(i, i % 2, shipped="test" if i < 6 else "training") for i in range(24)]
    assert audited(images).cross_split_leaks == 0


def test_a_leak_from_training_to_validation_is_one_too() -> None:
    images = [
        made_up_image(i, i % 2, patient_id=f"p{i}", shipped="validation" if i < 6 else "training") for i in range(24)
    ]
    report = audited(images, [pair(0, 8, "bytes", 1.0)])
    assert (report.verdict, report.cross_split_leaks) == ("leaks", 0)
    assert finding(report, "validation_leaks").count == 1


def test_conflicting_labels_among_copies_and_in_groups() -> None:
    groups = list(range(24))
    groups[1], groups[11] = groups[0], groups[10]
    report = audited(clean_images(), [pair(0, 1, "bytes", 1.0)], groups)
    assert report.conflicts == 2
    copies = finding(report, "conflicting_copies")
    assert (copies.examples[0].images, copies.examples[0].words) == ((0, 1), "1 healthy, 1 tumour")
    assert finding(report, "conflicting_groups").examples[0].images == (10, 11)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("tiny", {"width_px": 31}),
        ("stretched", {"width_px": 700, "height_px": 200}),
        ("blank", {"std": 1.9}),
        ("animated", {"frames": 3}),
        ("misnamed", {"file_format": "PNG"}),
        ("misnamed", {"path": "a/x.PNG"}),
    ],
)
def test_odd_images_are_named(kind: str, facts: dict[str, object]) -> None:
    odd = finding(audited(changed(clean_images(), 5, **facts)), kind)
    assert odd.count == 1
    assert odd.examples[0].images == (5,)
    assert odd.done


@pytest.mark.parametrize(
    "facts",
    [
        {"width_px": 32, "height_px": 32},
        {"width_px": 600, "height_px": 200},
        {"file_format": "MPO"},
        {"path": "a/x.PNG", "file_format": "PNG"},
        {"path": "data/a.parquet#3", "file_format": "PNG"},
    ],
)
def test_plain_images_are_not_odd(facts: dict[str, object]) -> None:
    assert audited(changed(clean_images(), 5, **facts)).findings == []


def test_unreadable_files_are_named_with_their_reasons() -> None:
    report = audited(clean_images(), unreadable=[("yes/a.jpg", "empty file")] * 20)
    assert report.to_json()["unreadable"] == 20
    assert len(finding(report, "unreadable").examples) == 12
    assert finding(report, "unreadable").examples[0].words == "yes/a.jpg: empty file"


def test_balance_of_classes_modalities_and_groups() -> None:
    images = [made_up_image(i, int(i >= 40), patient_id=f"p{i}", modality="CT") for i in range(50)]
    report = audited([*images, made_up_image(50, 0, patient_id="p50", modality="MR")], groups=[*range(45), *[45] * 6])
    assert finding(report, "class_balance").title == "healthy has 4.1 times the images of tumour (41 against 10)"
    assert finding(report, "class_balance").severity == "warning"
    assert "MR has no tumour: " in finding(report, "modality_balance").title
    assert finding(report, "few_groups").title == "1 class of fewer than 10 groups: tumour (6)"


def test_a_class_that_goes_with_a_modality_is_said() -> None:
    images = [made_up_image(i, int(i % 4 > 0), patient_id=f"p{i}", modality="CT") for i in range(40)]
    images += [made_up_image(i, int(i % 4 == 0), patient_id=f"p{i}", modality="MR") for i in range(40, 80)]
    assert "tumour is 75% of CT and 25% of MR" in finding(audited(images), "modality_balance").title


def test_missing_patients_are_said() -> None:
    report = audited(changed(clean_images(), 3, patient_id=None))
    assert finding(report, "patients_unknown").count == 1


def test_a_shortcut_that_a_model_can_see_is_a_warning_the_others_one_note() -> None:
    common = (0.9, 0.5, 0.6, 0, True)
    shortcuts = [
        Shortcut("border", *common, True, None, 24, "x"),
        Shortcut("file type", *common, False, None, 24, "x"),
        Shortcut("file type", 1.0, 0.5, 0.6, 0, True, False, "MR", 12, "x"),
        Shortcut("file name", *common, False, None, 24, "x"),
        Shortcut("aspect", 0.55, 0.5, 0.6, 0, False, True, None, 24, "x"),
    ]
    report = audited(clean_images(), shortcuts=shortcuts)
    assert [(f.kind, f.severity) for f in report.findings] == [
        ("shortcut: border", "warning"),
        ("shortcuts outside the pixels", "note"),
    ]
    assert "file type (100% of MR), file name (90%)" in report.findings[1].title
    assert audited(clean_images(), shortcuts=shortcuts[1:]).verdict == "clean"


def test_worst_first_and_few_examples() -> None:
    images = [made_up_image(i, i % 2, shipped="test" if i < 30 else "training", frames=2) for i in range(60)]
    report = audited(images, [pair(i, i + 30, "bytes", 1.0) for i in range(30)])
    order = [finding.severity for finding in report.findings]
    assert order == sorted(order, key=["leak", "warning", "note"].index)
    assert max(len(finding.examples) for finding in report.findings) == 12


def test_clusters_join_over_any_number_of_links() -> None:
    cluster_N = clusters(7, [(5, 6), (4, 5), (1, 2)])
    assert cluster_N.tolist() == [0, 1, 1, 3, 4, 4, 4]
    assert members(cluster_N) == [[4, 5, 6], [1, 2]]
