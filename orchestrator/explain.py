"""`orchestrate explain`: why a registered version answers as it does, image by image. Nothing is trained or changed."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.inspecting.asked_cases import AskedCases
from orchestrator.inspecting.judged_cases import JudgedCases, judge_cases, lesion_masks
from orchestrator.new_folder import check_new_folder, new_folder
from orchestrator.promotion.evidence import FOLDER
from orchestrator.promotion.explanation_verdicts import explainer_verdicts, explainer_warnings
from orchestrator.test_ledger import EXPLAIN
from orchestrator.test_predictions import note_predictions
from trainables.data.unlabelled import UnlabelledImage
from trainables.errors import ExplanationError
from trainables.explain.explainers import AUTO, Explainer
from trainables.explain.map_warnings import of_any_class

if TYPE_CHECKING:
    from orchestrator.tracking.registry import FoundModel
    from trainables.data.decoding import Progress
    from trainables.data.unlabelled_cases import UnlabelledCase
    from trainables.explain.case_panels import Case
    from trainables.explain.comparison import Compared
    from trainables.explain.explained import Explained
    from trainables.explain.packaged import Packaged

MOST_CLASS_WEIGHT = 10
MOST_STEM_CHARACTERS = 48  # of up to 4 bytes each in a file's name, which may have 255


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """What the user asked for; without method and layer all explainers of the version's architecture."""

    reference: str
    cases: AskedCases
    home: Home
    tracking_uri: str | None = None
    method: str | None = None
    layer: str | None = None
    class_name: str | None = None  # explained instead of the predicted one
    colormap: str = "inferno"
    compare: Sequence[str] = ()  # methods, held side by side besides
    class_weights: Mapping[str, float] = field(default_factory=dict)  # powers of what is drawn; 1 for none
    out: Path | None = None


@dataclass(frozen=True)
class ExplainedImage:
    """One image with a panel."""

    path: str
    predicted: str
    probability: float
    explained: str
    panel: Path

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "path": self.path,
            "predicted": self.predicted,
            "probability": self.probability,
            "explained": self.explained,
            "panel": str(self.panel),
        }


@dataclass(frozen=True, kw_only=True)
class ExplainedImages:
    """Images with their panels, why others have none, and why some explainers were not used."""

    name: str
    version: str
    alias: str | None
    out: Path
    panels: list[ExplainedImage]
    left_out: dict[str, str]  # image -> reason
    refused: list[str]  # explainers, with the reason
    warnings: list[str]  # of what the maps cannot tell
    compared: "list[Compared]"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "version": self.version,
            "alias": self.alias,
            "out": str(self.out),
            "panels": [panel.to_json() for panel in self.panels],
            "left_out": self.left_out,
            "refused": self.refused,
            "warnings": self.warnings,
            "compared": [asdict(one) for one in self.compared],
        }


def explain_images(request: ExplainRequest, progress: "Progress") -> ExplainedImages:
    """Write a panel for each readable image, with a table and raw maps, into a new folder. Raises BadInput.

    Test images of known sweeps are noted in the ledger before anything is written.
    """
    from trainables.explain.case_panels import write_panels
    from trainables.explain.comparison import write_comparison
    from trainables.explain.cross_cases import drawn_note, write_asked_cross
    from trainables.explain.packaged import explainers_for, load_packaged

    asked, listed = _asked(request), request.cases.listed(request.reference)
    if request.out is not None:
        check_new_folder("--out", request.out)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        found, digest, classifier, out = _fetch(request, folder)
        named = f"{found.name} version {found.version}"
        with _told_of(named):
            packaged = load_packaged(folder / classifier)
            _check_inputs(packaged, named, listed)
            class_index = _class_index(packaged.classes, request.class_name)
            _check_class_weights(packaged.classes, request.class_weights)
            judged = judge_cases(packaged, listed, progress)
            explained = packaged.explained(judged.images_NMHW)
            side_by_side, not_compared = _side_by_side(explained, request)
            explainers, refused = explainers_for(explained, asked)
            warnings = explainer_warnings(folder / FOLDER, [one.name for one in explainers], digest)
            note_predictions(request.home, judged.sha256s, f"{found.name} v{found.version}", EXPLAIN)
            cases = _cases(judged, packaged.classes, class_index, request.class_weights)
            compared: list[Compared] = []
            further: list[str] = []
            with new_folder(out) as part:
                black, colormap = packaged.black_images(), request.colormap
                write_panels(part, explained, explainers, cases, black, warnings, colormap, progress=progress)
                if asked is None:
                    no_cross = write_asked_cross(part, explained, cases, judged.probs_NK, packaged.classes, colormap)
                    refused += [no_cross] if no_cross else []
                    further = [] if no_cross else drawn_note(explained, len(cases))
                if side_by_side:
                    masks = lesion_masks(judged.cases, packaged.view)
                    verdicts, _ = explainer_verdicts(folder / FOLDER, digest)
                    compared = write_comparison(part, explained, side_by_side, cases, masks, verdicts, colormap)
    return ExplainedImages(
        name=found.name,
        version=found.version,
        alias=found.alias,
        out=out,
        panels=[_shown(case, out) for case in cases],
        left_out=judged.left_out,
        refused=refused + not_compared,
        warnings=warnings + further + (of_any_class(explainers) if request.class_name is not None else []),
        compared=compared,
    )


@contextmanager
def _told_of(what: str) -> Iterator[None]:
    try:
        yield
    except ExplanationError as error:
        raise BadInput(f"{what}: {error}") from error


def _asked(request: ExplainRequest) -> Explainer | None:
    """Return the explainer that is asked for, None for all of the architecture."""
    from trainables.explain.panels import check_colormap

    with _told_of("--colormap"):
        check_colormap(request.colormap)
    if request.layer is not None and not request.layer.strip():
        raise BadInput("--layer '': expected a path in the model, e.g. features.0; leave it out for the architecture's")
    if request.method is None and request.layer is None:
        return None
    with _told_of("--method"):
        return Explainer(AUTO if request.method is None else request.method, request.layer or "")


def _fetch(request: ExplainRequest, folder: Path) -> "tuple[FoundModel, str | None, Path, Path]":
    """Write a version's files into a folder.

    Return which it is, the digest of its evidence, where its classifier lies there, and where panels go.

    That these can be written there is known before anything is fetched.
    """
    from orchestrator.tracking.downloads import CLASSIFIER, download_version
    from orchestrator.tracking.promotion import evidence_digest
    from orchestrator.tracking.registry import find_model
    from orchestrator.tracking.store import open_store, told_as_bad_input

    with told_as_bad_input(request.home, request.tracking_uri):
        client = open_store(request.home, request.tracking_uri)
        found = find_model(client, request.reference)
        digest = evidence_digest(client, found.name, found.version)
        out = request.out
        if out is None:
            out = Path(f"explanations-{found.name}-v{found.version}")
            check_new_folder("--out", out)
        download_version(found, folder)
    return found, digest, CLASSIFIER, out


def _check_inputs(packaged: "Packaged", named: str, cases: "Sequence[UnlabelledCase]") -> None:
    takes, given = packaged.inputs, len(cases[0].images)
    if len(takes) != given:
        raise BadInput(f"{named}: a case of it is {len(takes)} images ({', '.join(takes)}), and {given} is given")


def _class_index(classes: Sequence[str], asked: str | None) -> int | None:
    if asked is not None and asked not in classes:
        raise BadInput(f"--class: {unknown_name('class', asked, classes)}")
    return None if asked is None else classes.index(asked)


def _side_by_side(explained: "Explained", request: ExplainRequest) -> tuple[list[Explainer], list[str]]:
    """Return what is compared, and why the rest of what was asked for cannot be used on this model."""
    from trainables.explain.comparison import explainers_to_compare

    if not request.compare:
        return [], []
    works, refused, failed = explained.usable(explainers_to_compare(explained, request.compare, request.layer))
    if not works:
        raise ExplanationError(f"nothing of --compare can be used: {'; '.join(refused + failed)}")
    return works, refused + failed


def _check_class_weights(classes: Sequence[str], weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if name not in classes:
            raise BadInput(f"--class-weights: {unknown_name('class', name, classes)}")
        if not 0 < weight <= MOST_CLASS_WEIGHT:
            raise BadInput(f"--class-weights {name}={weight:g}: expected a number above 0, {MOST_CLASS_WEIGHT} at most")


def _cases(
    judged: JudgedCases, classes: Sequence[str], asked: int | None, class_weights: Mapping[str, float]
) -> "list[Case]":
    from trainables.explain.case_panels import Case

    cases = []
    for n, judged_case in enumerate(judged.cases):
        probs_K = judged.probs_NK[n]
        predicted = int(probs_K.argmax())
        explained = predicted if asked is None else asked
        answer = f"predicted {classes[predicted]}, probability {probs_K[predicted]:.2f}"
        other = "" if explained == predicted else f", probability {probs_K[explained]:.2f}"
        name = _file_name(n + 1, len(judged.cases), judged_case.images[0])
        about = {
            "path": judged_case.name,
            "panel": f"panel_{name}.png",
            "predicted": classes[predicted],
            "probability": repr(float(probs_K[predicted])),
            "explained": classes[explained],
        }
        names = " + ".join(Path(image.name).name for image in judged_case.images)
        title = f"{names}: {answer}; explained: {classes[explained]}{other}"
        cases.append(Case(name, n, explained, title, about, class_weights.get(classes[explained], 1.0)))
    return cases


def _file_name(place: int, images: int, image: UnlabelledImage) -> str:
    """Return what begins a panel's file: no two are alike, and nothing in them surprises a shell or a file system."""
    stem = (
        f"{image.file.stem[:MOST_STEM_CHARACTERS]}_{image.row}" if image.row else image.file.stem[:MOST_STEM_CHARACTERS]
    )
    safe = re.sub(r"[^\w.-]+", "_", stem).strip("._-")
    return f"{place:0{len(str(images))}d}_{safe or 'image'}"


def _shown(case: "Case", out: Path) -> ExplainedImage:
    return ExplainedImage(
        path=case.about["path"],
        predicted=case.about["predicted"],
        probability=float(case.about["probability"]),
        explained=case.about["explained"],
        panel=out / case.about["panel"],
    )
