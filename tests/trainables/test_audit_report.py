"""The page stands alone, escapes what it shows and stays small."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from audit_support import made_up_image, made_up_set
from PIL import Image

from trainables.audit.evidence import Evidence
from trainables.audit.facts import AuditInput
from trainables.audit.findings import make_report
from trainables.audit.near_duplicates import DuplicatePair
from trainables.audit.pictures import png_of, strip
from trainables.audit.report import write_report
from trainables.audit.shortcuts import find_shortcuts
from trainables.audit.subjects import SubjectGroups

EVIL = "<script>alert(1)</script>"
NUM_IMAGES = 400


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def all_at_once() -> Evidence:
    """A set with every kind of finding, on noise, which no PNG makes smaller."""
    images = []
    for i in range(NUM_IMAGES):
        odd = [{"width_px": 20}, {"width_px": 900}, {"std": 0.5}, {"frames": 4}, {"file_format": "PNG"}]
        side = ("training", "validation", "test")[i % 3]
        facts = {"path": f"{EVIL}/a&b {i}.jpg", "shipped": side, "border_mean": float(i % 4 == 0) * 90 + i % 7}
        images.append(made_up_image(i, int(i % 4 == 0), **(facts | odd[i % 5])))
    own: AuditInput = made_up_set(images, (EVIL, 'say "no"'))
    kinds = ("bytes", "pixels", "near")
    pairs = [DuplicatePair(i, i + 1, kinds[i % 9 // 3], EVIL, 0.99) for i in range(0, NUM_IMAGES // 2, 3)]
    subjects = SubjectGroups(np.arange(NUM_IMAGES) // 20, 0.9, EVIL)
    return Evidence(own, pairs, subjects, find_shortcuts(own, None), [(f"{EVIL}.jpg", EVIL)] * 50)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evidence]:
    evidence = all_at_once()
    folder = tmp_path_factory.mktemp("report") / "audit"
    write_report(folder, make_report(evidence), evidence.images, title=EVIL, notes=[EVIL])
    return folder, evidence


@pytest.fixture(scope="module")
def page(written: tuple[Path, Evidence]) -> str:
    return (written[0] / "audit.html").read_text(encoding="utf-8")


def test_it_is_whole_and_needs_nothing_beside_it(page: str) -> None:
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert not {tag for tag, _ in parser.tags} & {"script", "link", "iframe", "object", "form", "a", "base"}
    sources = [attributes["src"] or "" for tag, attributes in parser.tags if tag == "img"]
    assert len(sources) > 100
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    for source in sources[:: len(sources) // 10]:
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).verify()
    assert "http" not in re.sub(r'src="[^"]*"', "", page)
    assert not [name for _, attributes in parser.tags for name in attributes if name.startswith("on")]


def test_names_are_escaped(page: str) -> None:
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a&amp;b" in page


def test_every_finding_is_there_and_the_file_is_small(page: str, written: tuple[Path, Evidence]) -> None:
    report = make_report(written[1])
    kinds = {finding.kind for finding in report.findings}
    assert kinds >= {
        "cross_split_leaks", "validation_leaks", "conflicting_copies", "conflicting_groups", "bytes_copies",
        "pixels_copies", "near_copies", "subject_groups", "patients_unknown", "shortcut: border", "tiny", "stretched",
        "blank", "animated", "misnamed", "unreadable", "class_balance",
    }  # fmt: skip
    assert page.count('class="finding ') == len(kinds) - 1  # groups have a section of their own
    assert (written[0] / "audit.html").stat().st_size < 3_000_000


def test_the_json_is_the_same_report(written: tuple[Path, Evidence]) -> None:
    content = json.loads((written[0] / "audit.json").read_text(encoding="utf-8"))
    assert content == make_report(written[1]).to_json() | {"notes": [EVIL]}
    assert content["verdict"] == "leaks"


def test_no_path_of_this_machine(page: str, written: tuple[Path, Evidence]) -> None:
    for content in (page, (written[0] / "audit.json").read_text(encoding="utf-8")):
        assert str(written[0].parent) not in content


def test_a_set_with_nothing_to_say(tmp_path: Path) -> None:
    images = made_up_set([made_up_image(i, i % 2, patient_id=f"p{i}") for i in range(24)])
    report = make_report(Evidence(images, [], SubjectGroups(np.arange(24), None, "none alike"), []))
    content = write_report(tmp_path, report, images).read_text(encoding="utf-8")
    assert "Nothing found that would mislead" in content
    assert "<img" not in content


def test_pictures_keep_their_pixels() -> None:
    first_HW, second_HW = np.full((4, 4), 10, np.uint8), np.full((4, 4), 200, np.uint8)
    strip_HW = np.asarray(Image.open(io.BytesIO(png_of(strip(np.stack([first_HW, second_HW]))))))
    assert strip_HW.shape == (4, 10)
    assert strip_HW[0].tolist() == [10] * 4 + [255] * 2 + [200] * 4
