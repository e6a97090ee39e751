"""A recipe: everything that decides how a network is trained, as frozen data.

A recipe is written once per paper (`perpixel.recipes`), stored in every run directory, and a variant
is one `replace` away. Nothing in it is code, so it can be printed, compared and repeated.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.errors import UsageError
from perpixel.losses.class_balance import BalanceRule


class Frozen(BaseModel):
    """Data that cannot change, and that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# Patterns of parameters' names ("fc8*") and what their rate is multiplied by; the first that fits decides.
LayerRates = dict[str, Annotated[float, Field(ge=0)]]


class SGD(Frozen):
    """Stochastic gradient descent with momentum, and Caffe's rules for biases.

    `bias_rate` multiplies the learning rate of biases and `bias_decay` their weight decay
    (`lr_mult: 2, decay_mult: 0` in the released prototxts of FCN, SegNet and DeepLab). `norm_decay` and
    `norm_shift_decay` are the same for batch normalisation's scale and shift. `layer_rates` multiplies the
    rates of the layers it names, biases included: {"*fc8*": 10} is DeepLab's 10 and 20. `momentum_keeps_rate` is
    Caffe's momentum: after a fall of the rate, steps that are still under way keep the rate they began with.
    """

    name: Literal["sgd"] = "sgd"
    learning_rate: float = Field(gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    momentum_keeps_rate: bool = False
    weight_decay: float = Field(5e-4, ge=0)
    bias_rate: float = Field(1.0, ge=0)
    bias_decay: float = Field(1.0, ge=0)
    norm_decay: float = Field(1.0, ge=0)
    norm_shift_decay: float = Field(1.0, ge=0)
    layer_rates: LayerRates = {}


class AdamW(Frozen):
    """Adam with decoupled weight decay; biases and norms are not decayed unless asked."""

    name: Literal["adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(1e-2, ge=0)
    bias_rate: float = Field(1.0, ge=0)
    bias_decay: float = Field(0.0, ge=0)
    norm_decay: float = Field(0.0, ge=0)
    norm_shift_decay: float = Field(0.0, ge=0)
    layer_rates: LayerRates = {}


class Fixed(Frozen):
    """The learning rate never changes."""

    name: Literal["fixed"] = "fixed"


class Step(Frozen):
    """The rate is multiplied by `factor` every `every` iterations (Caffe's `step`)."""

    name: Literal["step"] = "step"
    every: int = Field(gt=0)
    factor: float = Field(0.1, gt=0, le=1)


class Stairs(Frozen):
    """`Step` for any budget: the rate is multiplied by `factor` each time this part of the budget is spent."""

    name: Literal["stairs"] = "stairs"
    every: float = Field(gt=0, le=1)
    factor: float = Field(0.1, gt=0, le=1)


class Poly(Frozen):
    """The rate falls as (1 − progress)^power (Caffe's `poly`), after a linear warm-up."""

    name: Literal["poly"] = "poly"
    power: float = Field(0.9, gt=0)
    warmup: float = Field(0.0, ge=0, lt=1)


class OneCycle(Frozen):
    """The rate rises to its peak by a cosine over the first `warmup` of the budget, then falls to zero."""

    name: Literal["one-cycle"] = "one-cycle"
    warmup: float = Field(0.1, ge=0, lt=1)
    start: float = Field(0.04, gt=0, le=1)


class Budget(Frozen):
    """How long to train: exactly one of the three. The schedule fits itself to it."""

    iterations: int | None = Field(None, gt=0)
    epochs: float | None = Field(None, gt=0)
    minutes: float | None = Field(None, gt=0)

    def model_post_init(self, _: Any) -> None:
        """Refuse none or several."""
        given = [value for value in (self.iterations, self.epochs, self.minutes) if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of iterations, epochs and minutes, got {len(given)}. Say how long to train once."
            )


class CrossEntropy(Frozen):
    """Every labelled pixel counts; divided as `loss_normalization` says."""

    name: Literal["cross-entropy"] = "cross-entropy"


class Bootstrapped(Frozen):
    """Only the `pixels` worst pixels of each image count (FRRN, Sec. 4.1: K = 512 · m)."""

    name: Literal["bootstrapped"] = "bootstrapped"
    pixels: int = Field(8192, gt=0)


class BorderWeighted(Frozen):
    """Pixels between two touching objects count up to `1 + weight` times (U-Net, Eq. 2: w0 and σ).

    `background` is the class between objects; connected parts of the other classes are objects.
    """

    name: Literal["border"] = "border"
    weight: float = Field(10.0, ge=0)
    std: float = Field(5.0, gt=0)
    background: int = Field(0, ge=0)


class Windows(Frozen):
    """Train on square windows around single objects, as DeconvNet does, instead of on images.

    Args:
        kind: "object" centres on one object and calls everything else background; "proposal" takes a box that
            overlaps an object, and keeps all labels in it.
        context: The side of the window over the longer side of the object's tight box.
        side: To which the window is resized, in pixels; `crop_size` is then cut out of it.
        min_iou: Of a proposal with its object's tight box.
    """

    kind: Literal["object", "proposal"]
    context: float = Field(1.2, ge=1)
    side: int = Field(250, gt=0)
    min_iou: float = Field(0.5, ge=0, lt=1)


Task = Literal["segmentation", "tagging", "per-label", "attention", "transfer"]

Optimizer = Annotated[SGD | AdamW, Field(discriminator="name")]
Schedule = Annotated[Fixed | Step | Stairs | Poly | OneCycle, Field(discriminator="name")]
Loss = Annotated[CrossEntropy | Bootstrapped | BorderWeighted, Field(discriminator="name")]
ClassWeights = BalanceRule | tuple[Annotated[float, Field(ge=0)], ...]
Side = Annotated[int, Field(gt=0)]
KINDS = (SGD, AdamW, Fixed, Step, Stairs, Poly, OneCycle, CrossEntropy, Bootstrapped, BorderWeighted)
FREE_KEYS = ("options", "layer_rates")  # tables whose keys are the user's
NAMED = ("optimizer", "schedule", "auxiliary_schedule", "loss")  # `--set loss=border` is short for its name


class Recipe(Frozen):
    """How one network is trained.

    `initial_weights` names what the network begins from, or, of a network of several parts, what each part does.
    `image_scale` is the size at which the network sees an image, relative to the file: 0.5 trains and
    predicts at half resolution, a quarter of the work, and the logits are interpolated back.
    `crop_size` is (H, W) in pixels as the network sees them; None means whole images, which then
    must all have one size or go one at a time.

    `loss_weights` are of a network's several training outputs, in its order; None takes the network's own, and
    `auxiliary_schedule` lets all but the first fall. `loss_sampling` is the part of the target that counts in one
    iteration, drawn anew each time in squares of `loss_cell` pixels: FCN's patch sampling. `label_groups` gives
    each class's group, for outputs that tell groups apart (SIFT Flow's geometry).
    `trainable` names the parameters that learn, as patterns of their names; "classifier" is `CLASSIFIER`.

    `task` is what a sample asks: "segmentation", which class each pixel is; "tagging", which classes the image shows;
    "per-label", which pixels are of some classes that are named to the network; "attention" and "transfer", the
    same of one label, with masks of other labels (TransferNet). `keep` is the score by which the best
    weights are told; for tagging it is one of tags.
    """

    model: str
    task: Task = "segmentation"
    preset: str = "custom"
    width: float = Field(1.0, gt=0)
    options: dict[str, bool | int | float | str] = {}
    initial_weights: str | dict[str, str] = "none"

    image_scale: float = Field(1.0, gt=0, le=4)
    crop_size: tuple[Side, Side] | None = None
    batch_size: int = Field(8, gt=0)
    accumulate: int = Field(1, gt=0)
    budget: Budget = Budget(epochs=100)
    augmentation: Augmentation = Augmentation()
    windows: Windows | None = None
    normalization: Normalization | Literal["data"] = "data"

    optimizer: Optimizer = AdamW()
    schedule: Schedule = Poly()
    loss: Loss = CrossEntropy()
    loss_normalization: Literal["valid", "sum", "weight", "batch"] = "valid"
    loss_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    auxiliary_schedule: Schedule = Fixed()
    loss_sampling: float = Field(1.0, gt=0, le=1)
    loss_cell: int = Field(1, gt=0)
    label_groups: tuple[Annotated[int, Field(ge=0)], ...] = ()
    class_weights: ClassWeights = "none"
    trainable: Literal["all", "classifier"] | tuple[str, ...] = "all"
    clip_gradient: float | None = Field(None, gt=0)
    average_weights: float = Field(0.0, ge=0, lt=1)
    batch_norm_statistics: Literal["running", "training-set"] = "running"
    keep: Literal["mean_iou", "pixel_accuracy", "f1", "mean_average_precision"] = "mean_iou"
    validations: int = Field(20, gt=0)

    sources: dict[str, str] = {}
    expected: dict[str, float] = {}
    differs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _keep_fits_the_task(self) -> Self:
        of_tags = self.keep in ("f1", "mean_average_precision")
        tells_tags = self.task in ("tagging", "attention")
        if of_tags != tells_tags:
            fitting = "f1 or mean_average_precision" if tells_tags else "mean_iou or pixel_accuracy"
            raise ValueError(f"keep: expected {fitting} for the task {self.task}, got {self.keep}")
        return self

    @model_validator(mode="after")
    def _weights_fit_the_task(self) -> Self:
        if self.task != "segmentation" and self.class_weights != "none":
            raise ValueError(f"class_weights: expected none for the task {self.task}, which asks of labels one by one")
        if self.task == "transfer" and self.loss_weights is not None and len(self.loss_weights) != 2:
            raise ValueError(f"loss_weights: expected 2, of which label and of where, got {len(self.loss_weights)}")
        return self

    @field_validator("options")
    @classmethod
    def _keep_own_keys_out(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key in ("width", "num_classes", "in_channels"):
            if key in options:
                known = "say width=… without options" if key == "width" else "the data says it"
                raise ValueError(f"expected options of the network alone, got {key}: {known}")
        return options

    def replace(self, **changes: Any) -> Self:
        """Return a recipe with some values changed, checked like any other."""
        return self.model_validate({**self.model_dump(), **changes})


def with_settings(recipe: Recipe, settings: list[str]) -> Recipe:
    """Apply `KEY=VALUE` settings, e.g. `optimizer.learning_rate=0.01`.

    Values are read as YAML, so `crop_size=[224,224]` and `class_weights=enet` both work.

    Raises:
        UsageError: The key does not exist or the value does not fit; the message names the known keys.
    """
    import yaml

    data = recipe.model_dump(mode="json")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set: expected KEY=VALUE, got {setting!r}. For example --set batch_size=4.")
        try:
            value = _value(yaml.safe_load(text))
        except yaml.YAMLError:
            raise UsageError(
                f"--set: expected a value for {key.strip()} that is YAML, got {text!r}. Quote it."
            ) from None
        _assign(data, key.strip().split("."), value)
    return parse_recipe(data)


def parse_recipe(data: dict[str, Any]) -> Recipe:
    """Check a recipe read from a file.

    Raises:
        UsageError: One line for each key that does not fit.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        lines = [_line(".".join(str(part) for part in e["loc"]), e["msg"]) for e in error.errors()]
        raise UsageError("recipe: " + "; ".join(lines) + ". See `perpixel train --help`.") from None


def _line(key: str, message: str) -> str:
    """Return what is wrong with a key; a check of several says itself with which."""
    return ": ".join(part for part in (key, message.removeprefix("Value error, ")) if part)


def _value(value: Any) -> Any:
    """Read `1e-3` as the number people mean (YAML 1.1 reads it as a text)."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _assign(data: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for parent in parents:
        data = _child(data, parent, ".".join(path))
    if last not in data and (not parents or parents[-1] not in FREE_KEYS):
        raise _unknown(".".join(path), data)
    if last in NAMED and isinstance(value, str):
        value = _kind(value, data[last])
    if last in ("iterations", "epochs", "minutes") and parents == ["budget"]:
        data.update(iterations=None, epochs=None, minutes=None)
    data[last] = value


def _kind(name: str, before: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a named optimiser, schedule or loss; what has no default keeps its value."""
    found = next((kind for kind in KINDS if kind.model_fields["name"].default == name), None)
    if found is None:
        return {"name": name}
    fields = found.model_fields.items()
    return {key: before.get(key) if field.is_required() else field.default for key, field in fields}


def _child(data: dict[str, Any], key: str, whole: str) -> dict[str, Any]:
    child = data.get(key)
    if not isinstance(child, dict):
        raise _unknown(whole, data)
    return child


def _unknown(key: str, known: dict[str, Any]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return UsageError(f"--set: no setting named {key!r}. {hint}Known: {', '.join(known)}.")
