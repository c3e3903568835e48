"""Where the public data sets of the tasks come from; none of them is ours to hand on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Source:
    """A public data set: its host's name for it, and what is known of its licence."""

    host: Literal["kaggle", "huggingface"]
    name: str
    licence: str

    @property
    def page(self) -> str:
        """Return the address of its page."""
        site = "www.kaggle.com" if self.host == "kaggle" else "huggingface.co"
        return f"https://{site}/datasets/{self.name}"


SOURCES: Mapping[str, Source] = {
    "stroke": Source("kaggle", "turkertuncer/multimodal-stroke-image-dataset", "not stated"),
    "tumor_binary": Source("kaggle", "navoneel/brain-mri-images-for-brain-tumor-detection", "not stated"),
    "tumor_4class": Source("kaggle", "masoudnickparvar/brain-tumor-mri-dataset", "CC0 by another's note"),
    "alzheimer": Source("huggingface", "Falah/Alzheimer_MRI", "Apache-2.0 by its card"),
    "tumor_ct_mri": Source(
        "kaggle", "murtozalikhon/brain-tumor-multimodal-image-ct-and-mri", "CC BY-NC-SA by its page"
    ),
}
