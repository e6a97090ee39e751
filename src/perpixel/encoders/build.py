"""An encoder by name: any classifier's trunk, or one of another library."""

from perpixel.encoders.classifier import find
from perpixel.encoders.encoder import Encoder
from perpixel.encoders.external import PREFIXES, external_encoder
from perpixel.errors import UsageError


def build_encoder(
    name: str, in_channels: int = 3, width: float = 1.0, output_stride: int = 32, pretrained: bool = False
) -> Encoder:
    """Build an encoder, with fresh weights unless `pretrained`.

    Args:
        name: A classifier of `encoders.classifier.CLASSIFIERS`, "timm:NAME" or "hf:NAME".
        in_channels: Image channels; 3 for RGB.
        width: Multiplies the width of every layer; other libraries' networks stay as wide as they are.
        output_stride: 32, or 16 or 8, past which layers are dilated.
        pretrained: Let another library download its weights. Ours come from `perpixel.weights.transplant`.

    Returns: A module with `channels`, `strides` and forward(image) -> maps, shallowest first.
    Raises:
        UsageError: There is no such encoder, or it cannot be built so.
        ValueError: Another `output_stride`.
    """
    if not name.startswith(PREFIXES):
        if pretrained:
            raise UsageError(
                f"build_encoder: expected pretrained=False for {name}. Build it, then use perpixel.weights.transplant."
            )
        return find(name).encoder(in_channels=in_channels, width=width, output_stride=output_stride)
    return external_encoder(name, in_channels, output_stride, pretrained)
