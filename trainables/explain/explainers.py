"""What can explain a model's answer: methods by name, and the records that architectures hold; imports no torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from trainables.errors import ExplanationError

AUTO = "auto"
HeadFusion = Literal["mean", "max", "min"]


@dataclass(frozen=True)
class Method:
    """How maps are made: of a layer (`cam`), a ViT's attention, that between images (`cross`), a gate, by hiding parts.

    Maps of a method that is not `class_specific` are the same whatever class is asked for.
    """

    title: str
    family: Literal["cam", "attention", "cross", "gate", "occlusion"]
    source: str
    class_specific: bool = True


METHODS: Mapping[str, Method] = {
    "gradcam": Method("Grad-CAM", "cam", "Selvaraju et al. 2017, arXiv:1610.02391"),
    "gradcam++": Method("Grad-CAM++", "cam", "Chattopadhay et al. 2018, arXiv:1710.11063"),
    "gradcamelementwise": Method("Grad-CAM, element by element", "cam", "grad-cam library"),
    "hirescam": Method("HiResCAM", "cam", "Draelos and Carin 2020, arXiv:2011.08891"),
    "layercam": Method("LayerCAM", "cam", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943"),
    "xgradcam": Method("XGrad-CAM", "cam", "Fu et al. 2020, arXiv:2008.02312"),
    "shapleycam": Method("ShapleyCAM", "cam", "arXiv:2501.06261"),
    "finercam": Method("Finer-CAM", "cam", "Zhang et al. 2025, arXiv:2501.11309"),
    "eigengradcam": Method("Eigen-Grad-CAM", "cam", "grad-cam library, after arXiv:2008.00299"),
    "segeigencam": Method("Seg-Eigen-CAM", "cam", "Chung and Ying 2025, doi:10.3390/app15137562"),
    "scorecam": Method("Score-CAM", "cam", "Wang et al. 2020, arXiv:1910.01279"),
    "ablationcam": Method("Ablation-CAM", "cam", "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360"),
    "eigencam": Method("Eigen-CAM", "cam", "Muhammad and Yeasin 2020, arXiv:2008.00299", class_specific=False),
    "kpcacam": Method("KPCA-CAM", "cam", "Karmani et al. 2024, arXiv:2410.00267", class_specific=False),
    "fem": Method("FEM", "cam", "Fuad et al. 2020, hal-02963298", class_specific=False),
    "randomcam": Method("random channel weights (a control)", "cam", "grad-cam library", class_specific=False),
    "rollout": Method("attention rollout", "attention", "Abnar and Zuidema 2020, arXiv:2005.00928", False),
    "relevance": Method("gradient-weighted attention relevance", "attention", "Chefer et al. 2021, arXiv:2103.15679"),
    "crossattention": Method("attention of the other image", "cross", "Vaswani et al. 2017, arXiv:1706.03762", False),
    "crossrelevance": Method(
        "relevance of the other image's attention", "cross", "Chefer et al. 2021, arXiv:2103.15679"
    ),
    "gate": Method("spatial gate", "gate", "CBAM, Woo et al. 2018, arXiv:1807.06521", class_specific=False),
    "occlusion": Method("occlusion", "occlusion", "Zeiler and Fergus 2014, arXiv:1311.2901"),
}

QUICK_CAMS = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam")  # one pass or two an image

_GUIDED = "its maps hardly change when the model's weights do (Adebayo et al. 2018, arXiv:1810.03292)"
_NOT_BUILT: Mapping[str, str] = {
    "fullgrad": "it adds maps that are scaled per image and layer, so there is no raw map",
    "refinecam": "it multiplies maps that are scaled per image, so there is no raw map",
    "sess": "it adds maps of crops that are scaled per crop, so there is no raw map",
    "guidedbackprop": _GUIDED,
    "guidedbackproprelumodel": _GUIDED,  # as the library has it
    "deepfeaturefactorization": "it factorises a layer's features whatever the class, into several maps",
    "augsmooth": "it averages maps of turned and brighter images that are scaled each, so there is no raw map",
    "eigensmooth": "it takes a principal component, whose sign is arbitrary; eigengradcam sets that by the class",
    "lrp": "the form of Chefer et al., CVPR 2021, needs every layer rewritten; relevance is that of ICCV 2021",
}


def method_named(spelling: str) -> str:
    """Return the key of METHODS that a spelling means: case, spaces and hyphens do not matter.

    Raises ExplanationError with the nearest names, or with the reason why a method of that name is not built.
    """
    if not isinstance(spelling, str):
        raise ExplanationError(f"method is a {type(spelling).__name__}: expected its name, e.g. 'gradcam'")
    name = re.sub(r"[^a-z0-9+]", "", spelling.lower()).replace("plusplus", "++")
    if name in METHODS or name == AUTO:
        return name
    if name in _NOT_BUILT:
        raise ExplanationError(f"method {spelling!r} is not built: {_NOT_BUILT[name]}")
    near = get_close_matches(name, METHODS, n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else "."
    raise ExplanationError(f"no method {spelling!r}{meant} Known: {AUTO}, {', '.join(METHODS)}")


@dataclass(frozen=True)
class Explainer:
    """One explanation of an architecture: a method at a layer, and in words what its map shows.

    `method` is a key of METHODS in any spelling, or `auto`: relevance for a ViT whose attention can be read, else
    Grad-CAM. `layer` is a dotted path in the module, with negative numbers from the end ('cnn.layer4.-1'); one that
    names a backbone of timm means its last spatial layer, and an empty one the only backbone, or the model's last
    activation. `image` is the number of the image that the map lies on, where a case has several. `head_fusion` and
    `discard_fraction` are rollout's. Raises ExplanationError for what there is not.
    """

    method: str = AUTO
    layer: str = ""
    name: str = ""
    shows: str = ""
    head_fusion: HeadFusion = "mean"
    discard_fraction: float = 0.0
    image: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", method_named(self.method))
        if not isinstance(self.layer, str):  # grad-cam itself takes modules
            raise ExplanationError(
                f"layer is a {type(self.layer).__name__}: expected its path in the model as text, e.g. 'cnn.layer4.-1'"
            )
        if self.method != "rollout" and (self.head_fusion, self.discard_fraction) != ("mean", 0.0):
            raise ExplanationError(
                f"head_fusion and discard_fraction are rollout's, not of {self.method}: leave them out"
            )
        if self.head_fusion not in get_args(HeadFusion):
            raise ExplanationError(f"head_fusion={self.head_fusion!r}: expected {', '.join(get_args(HeadFusion))}")
        if not 0 <= self.discard_fraction < 1:
            raise ExplanationError(f"discard_fraction={self.discard_fraction}: must be at least 0 and below 1")


@dataclass(frozen=True)
class BranchPair:
    """Two explainers, by name, whose maps are also shown added, and the submodules whose parts are compared.

    `weight` is that of the first map in the fused view: 0.6 in the stroke project. Maps on two images are not added.
    `named` is what the branches are called, by default as their explainers.
    """

    first: str
    second: str
    branches: tuple[str, str]
    weight: float = 0.5
    named: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Return what the branches are called."""
        return self.named or (self.first, self.second)


@dataclass(frozen=True)
class CrossAttention:
    """Paths of what lets two images of a case attend to each other, for the first and the second image each.

    The first and the last layers of cross attention, whose child `attention` has the weights; the modules whose output
    are the last maps of both encoders.
    """

    first: tuple[str, str]
    last: tuple[str, str]
    features: tuple[str, str]
