"""What stands beside a packaged model for people: what it takes and gives, and ten lines to use it in plain PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any

CARD = """\
# {architecture}: {classes}

For research only: this is not a medical device.

| | |
|---|---|
| a case | {inputs}: files as bytes, base64 text or `pathlib.Path`, or arrays (uint8 HW or HW3, else numbers HW) |
| seen as | one grey channel of {side_px} x {side_px} px, decoded{crop} and resized as in training (`images.py`) |
| DICOM | with pydicom; CT is seen {window} |
| gives | probabilities of {classes}; logits are divided by a temperature of {temperature:.4g}, fitted on validation |
| trained on | {digests} |

In plain PyTorch, run beside this folder (`classifier`):

```python
{snippet}
```
"""
SNIPPET = """\
import sys
from pathlib import Path
import torch

sys.path.insert(0, "classifier")
from standalone import Classifier

classifier = Classifier(Path("classifier"))
inputs = classifier.tensors([[{images}]])  # of one case: x_B1HW in [0, 1] per input
with torch.inference_mode():
    logits_BK = classifier.model(*inputs)
probs_BK = torch.softmax(logits_BK / classifier.temperature, dim=1)
print(dict(zip(classifier.classes, probs_BK[0].tolist())))"""


def model_card(config: Mapping[str, Any]) -> str:
    """Return the card, in Markdown, of a folder with this config.json."""
    values = config["hyperparameters"]
    crop = f", cropped to the brain with {values['crop_margin_px']} px around it" if values.get("crop_brain") else ""
    digests = ", ".join(f"{name} {digest}" for name, digest in config["digests"].items())
    level_hu, width_hu = config["ct_window_hu"]
    return CARD.format(
        window=f"from {level_hu - width_hu / 2:g} to {level_hu + width_hu / 2:g} HU (`dicom.py`)",
        architecture=config["architecture"],
        classes=", ".join(config["classes"]),
        inputs=", ".join(config["inputs"]),
        side_px=values["image_px"],
        crop=crop,
        temperature=config["temperature"],
        digests=digests or "not noted",
        snippet=plain_pytorch(config["inputs"]),
    )


def plain_pytorch(inputs: Sequence[str]) -> str:
    """Return the lines that judge one case, its images in files named after the inputs."""
    return SNIPPET.format(images=", ".join(f'Path("{name}.png")' for name in inputs))
