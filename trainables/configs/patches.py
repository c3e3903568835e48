"""Images that a ViT divides into patches."""

import re


def require_whole_patches(image_px: int, vit: str) -> None:
    """Raise ValueError where a ViT of timm would cut off what is left over at the edge."""
    patch = re.search(r"patch(\d+)", vit)
    if patch and int(patch.group(1)) and image_px % int(patch.group(1)):
        raise ValueError(f"image_px={image_px} must be a multiple of {patch.group(1)}, the patch of {vit}")
