"""Trunks of other libraries: timm's and Hugging Face's, where these are installed.

    image -> pad to a multiple of the coarsest stride -> their network -> crop each map to ceil(size / stride)

`timm:resnet50d` is built by timm.create_model(features_only=True), `hf:convnext` by transformers' AutoBackbone from
the default configuration of that model type, `hf:facebook/convnext-tiny-224` from a configuration on the Hub.
Neither library is needed for anything else; each is imported when such a name is asked for.

Strides are measured: each library states them in its own way, or not at all. Where elements lie within the image
is not known; networks take element i to lie at pixel stride·i.

Letters: N batch, C channels, H W pixels.
"""

import importlib
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from perpixel.encoders.encoder import OUTPUT_STRIDES, Encoder
from perpixel.errors import UsageError

STRIDES = {"timm:": OUTPUT_STRIDES, "hf:": (32,)}  # of the deepest map, as far as a library can be told
PREFIXES = tuple(STRIDES)
PROBE = 128  # pixels; a multiple of every stride in use
INSTALL = {"timm": "pip install 'perpixel[timm]'", "transformers": "pip install 'perpixel[transformers]'"}


class External(Encoder):
    """Another library's trunk as an encoder: `channels`, `strides`, and a list of maps for any size of image.

    Args:
        trunk: image -> maps, shallowest first.
        in_channels: Image channels.

    Attributes:
        channels: Of each map, shallowest first.
        strides: Of each map, in pixels.
    """

    def __init__(self, trunk: nn.Module, in_channels: int) -> None:
        super().__init__()
        self.trunk = trunk
        maps = self._probed(in_channels)
        if any(features.ndim != 4 or features.shape[-1] != features.shape[-2] for features in maps):
            shapes = ", ".join(str(tuple(features.shape)) for features in maps)
            raise ValueError(f"expected maps (N, C, h, w), got {shapes}: its channels are last")
        self.channels = tuple(features.shape[1] for features in maps)
        self.strides = tuple(round(PROBE / features.shape[-1]) for features in maps)

    def _probed(self, in_channels: int) -> list[Tensor]:
        """Return the maps of an empty image; the running statistics of a network in evaluation stay."""
        training = self.trunk.training
        try:
            with torch.no_grad():
                return maps_of(self.trunk.eval()(torch.zeros(1, in_channels, PROBE, PROBE)))
        finally:
            self.trunk.train(training)

    def forward(self, image: Float[Tensor, "N C H W"]) -> list[Float[Tensor, "N _ _ _"]]:
        """Return the maps, shallowest first; each has ceil(H / stride) rows and ceil(W / stride) columns."""
        height, width = image.shape[-2], image.shape[-1]
        step = self.strides[-1]
        bottom, right = (max(2 * step, -(-length // step) * step) - length for length in (height, width))
        maps = maps_of(self.trunk(functional.pad(image, (0, right, 0, bottom))))
        return [
            features[..., : -(-height // stride), : -(-width // stride)]
            for features, stride in zip(maps, self.strides, strict=True)
        ]


def external_strides(name: str) -> tuple[int, ...]:
    """Return the strides that the deepest map of "timm:NAME" or "hf:NAME" can have; finer ones by dilation."""
    return STRIDES[name[: name.index(":") + 1]]


def maps_of(output: Any) -> list[Tensor]:
    """Return timm's list, or what transformers calls feature_maps."""
    return list(getattr(output, "feature_maps", output))


def external_encoder(name: str, in_channels: int = 3, output_stride: int = 32, pretrained: bool = False) -> External:
    """Build a trunk of another library.

    Args:
        name: "timm:NAME" or "hf:NAME".
        in_channels: Image channels; 3 for RGB.
        output_stride: 32; timm dilates most of its networks to 16 or 8, transformers none.
        pretrained: Download the library's weights; the library does so its own way.

    Raises:
        UsageError: The library is missing or broken, knows no such network, or cannot build it so.
    """
    library, _, network = name.partition(":")
    build = timm_trunk if library == "timm" else hf_trunk
    try:
        return External(build(network, in_channels, output_stride, pretrained), in_channels)
    except UsageError:
        raise
    except ImportError as error:  # transformers imports its networks when they are asked for
        raise unusable("timm" if library == "timm" else "transformers", error) from error
    except Exception as error:  # libraries raise anything: RuntimeError, KeyError, OSError, TypeError
        raise UsageError(
            f"external_encoder: {library} cannot build {network!r} for {in_channels} channels and stride "
            f"{output_stride} ({type(error).__name__}: {' '.join(str(error).split())[:200]}). Check its name there."
        ) from error


def timm_trunk(network: str, in_channels: int, output_stride: int, pretrained: bool) -> nn.Module:
    """Return timm's network without its classifier."""
    timm = imported("timm")
    options = {} if output_stride == 32 else {"output_stride": output_stride}
    trunk: nn.Module = timm.create_model(
        network, features_only=True, pretrained=pretrained, in_chans=in_channels, **options
    )
    return trunk


def hf_trunk(network: str, in_channels: int, output_stride: int, pretrained: bool) -> nn.Module:
    """Return transformers' backbone, with a map from every stage.

    Raises:
        UsageError: A stride other than 32 is asked for.
    """
    if output_stride != 32:
        raise UsageError(
            f"external_encoder: transformers cannot dilate, and output_stride {output_stride} was asked for. "
            "Use 32, or an encoder of perpixel's own or of timm's."
        )
    transformers = imported("transformers")
    if pretrained:
        loaded: nn.Module = transformers.AutoBackbone.from_pretrained(network, **stages(network, transformers))
        return loaded
    trunk: nn.Module = transformers.AutoBackbone.from_config(configuration(network, in_channels, transformers))
    return trunk


def configuration(network: str, in_channels: int, transformers: Any) -> Any:
    """Return the configuration of a model type, or of a model on the Hub, with every stage as an output."""
    source = transformers.AutoConfig
    config = source.from_pretrained(network) if "/" in network else source.for_model(network)
    config.num_channels = in_channels
    for name in ("hidden_sizes", "depths"):  # ConvNeXt's defaults are tuples, which its own code cannot join
        if hasattr(config, name):
            setattr(config, name, list(getattr(config, name)))
    config.out_features = list(config.stage_names[1:])
    return config


def stages(network: str, transformers: Any) -> dict[str, Any]:
    """Return the option that asks for a map from every stage."""
    return {"out_features": list(transformers.AutoConfig.from_pretrained(network).stage_names[1:])}


def imported(library: str) -> Any:
    """Import a library.

    Raises:
        UsageError: It is missing, or broken: a torchvision built for another PyTorch takes timm down with it.
    """
    try:
        return importlib.import_module(library)
    except (ImportError, RuntimeError, OSError) as error:
        raise unusable(library, error) from error


def unusable(library: str, error: Exception) -> UsageError:
    """Return what to say of a library that cannot be imported."""
    reason = " ".join(str(error).split())[:200]
    return UsageError(
        f"external_encoder: {library} cannot be imported ({reason}). Install it: {INSTALL[library]}. If it is "
        "installed, its torchvision may have been built for another PyTorch: install the two together."
    )
