"""`dataset.yaml`: where images and masks are, and what each stored value means."""

import difflib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from perpixel.errors import DataError

Encoding = Literal["index", "palette", "rgb", "binary", "instance", "coco", "labelme", "cvat"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)
ANNOTATION_ENCODINGS = frozenset({"coco", "labelme", "cvat"})

Color = tuple[int, int, int]
Splits = tuple[str, ...] | dict[str, str | float]

FROM_MASKS = "from-masks"  # in place of a file of tags
MAX_CLASSES = 255
MAX_YAML_BYTES = 16 << 20
_WIDTH = 100  # columns of a list that stays on one line

_HEADER = """\
# What the data set is, and what each stored mask value means. Paths are relative to this file.
# `perpixel inspect` writes it; edit it freely.
"""


def parse_color(value: object) -> Color:
    """Return (red, green, blue) of a list, of "r,g,b", or of "#rrggbb".

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, str) and value.startswith("#") and len(value) == 7:
        try:
            return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
        except ValueError:
            raise _not_a_color(value) from None
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or len(parts) != 3:
        raise _not_a_color(value)
    try:
        red, green, blue = (int(part) for part in parts)
    except (TypeError, ValueError):
        raise _not_a_color(value) from None
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise _not_a_color(value)
    return red, green, blue


def _not_a_color(value: object) -> ValueError:
    return ValueError(f"expected a colour like [128, 64, 0], got {value!r}. Give three levels, 0 to 255")


def _parse_stored(value: object) -> object:
    return value if isinstance(value, int) else parse_color(value)


StoredValue = Annotated[int | Color, BeforeValidator(_parse_stored)]
AnyColor = Annotated[Color, BeforeValidator(parse_color)]


class DatasetSpec(BaseModel):
    """The contents of `dataset.yaml`.

    Args:
        name: What to call it.
        images: A folder, or a pattern whose `*` is the name; `{split}` stands for the split. For annotation
            files, the folder that the file names in them start from.
        masks: The same for masks: a mask belongs to the image of the same name. Or the annotation file. With a file of
            tags the folder may be missing.
        splits: Names; or name -> a list file, another word for `{split}`, or a fraction to draw from train.
        classes: Names, in the order of their ids.
        colors: One for each class.
        ignore: Stored values that neither loss nor metric counts.
        mask_values: Stored value (or colour, or label name) -> class name; null is ignored.
        encoding: How masks are stored.
        exclude: Pairs left out, as "split/name".
        background: The class that is no object, and so is never a tag; unless told, the one that is called so.
        tags: A file of image-level tags; or "from-masks", which reads them off the masks.
        masked: A list of the training images whose masks may be used; all unless told.
        mask_classes: The classes that training may see in masks, besides the background; all unless told.
        channels: Of an image; 1 for grey, 3 for colour.
        bits: Of a channel; 8 or 16.
        color_tolerance: How far a stored value may lie from a known one, in levels; farther is ignored.
        mean: Of each channel over the training images, in stored units.
        std: Likewise the standard deviation.
        pixel_counts: Of each class over the training masks.
        image_counts: Training images that hold the class.
        image_pixel_counts: Counted pixels of those images together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "data"
    images: str = "images"
    masks: str = "masks"
    splits: Splits = ("train",)
    classes: tuple[str, ...]
    colors: tuple[AnyColor, ...] | None = None
    ignore: tuple[StoredValue, ...] = ()
    mask_values: dict[int | str, str | None] = Field(default_factory=dict)
    encoding: Encoding = "index"
    exclude: tuple[str, ...] = ()
    background: str | None = None
    tags: str | None = None
    masked: str | None = None
    mask_classes: tuple[str, ...] | None = None
    channels: int = Field(default=3, ge=1, le=4096)
    bits: Literal[8, 16] = 8
    color_tolerance: int = Field(default=0, ge=0, le=441)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    pixel_counts: tuple[int, ...] | None = None
    image_counts: tuple[int, ...] | None = None
    image_pixel_counts: tuple[int, ...] | None = None

    @property
    def has_tag_file(self) -> bool:
        """Whether a file says what images show, so that they need no mask."""
        return self.tags is not None and self.tags != FROM_MASKS

    @classmethod
    def load(cls, path: Path | str) -> "DatasetSpec":
        """Read a `dataset.yaml`.

        Raises:
            DataError: It is missing, no YAML, or says something impossible; all of it is listed.
        """
        path = Path(path)
        return cls.parse(_read_yaml(path), str(path))

    @classmethod
    def parse(cls, values: Mapping[str, Any], name: str = "dataset.yaml") -> "DatasetSpec":
        """Check values as read from YAML; `name` stands in errors.

        Raises:
            DataError: They say something impossible; all of it is listed.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            problems = [_explain(dict(e)) for e in error.errors()]
            raise DataError(f"{name}: " + "\n  ".join(problems), problems) from None

    def save(self, path: Path | str) -> None:
        """Write it as YAML, replacing the file in one step."""
        path = Path(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.to_yaml())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def to_yaml(self) -> str:
        """Return the file's text: the fields that say something, in the order above."""
        values = self.model_dump(exclude_defaults=True, mode="python")
        kept = {"name": self.name, "images": self.images, "masks": self.masks, "splits": self.splits}
        kept |= {"classes": self.classes} | values | {"encoding": self.encoding}
        order = [key for key in type(self).model_fields if key in kept and kept[key] is not None]
        return _HEADER + "".join(_line(key, _plain(kept[key])) for key in order)

    @model_validator(mode="before")
    @classmethod
    def _take_class_names_from_values(cls, values: Any) -> Any:
        """Let `mask_values` name the classes where `classes` does not."""
        if isinstance(values, dict) and "classes" not in values and isinstance(values.get("mask_values"), dict):
            names = dict.fromkeys(name for name in values["mask_values"].values() if name is not None)
            return values | {"classes": list(names)}
        return values

    @field_validator("classes", mode="before")
    @classmethod
    def _check_names(cls, names: Any) -> Any:
        for name in names if isinstance(names, list | tuple) else ():
            if isinstance(name, bool):
                raise ValueError(f"expected names, got {str(name).lower()}. Put quotes around yes, no, on and off")
        return [str(name) if isinstance(name, int | float) else name for name in names] if names else names

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not 1 <= len(names) <= MAX_CLASSES:
            raise ValueError(f"expected 1 to {MAX_CLASSES} names, got {len(names)}. List every class once")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"expected each name once, got {', '.join(twice)} twice. Rename or merge them")
        return names

    @field_validator("splits", mode="before")
    @classmethod
    def _check_splits(cls, splits: Any) -> Any:
        if isinstance(splits, str):
            return (splits,)
        if isinstance(splits, dict):
            for name, value in splits.items():
                if isinstance(value, int | float) and not 0 < value < 1:
                    raise ValueError(f"expected a share between 0 and 1 for {name}, got {value}. Try 0.2")
        return splits

    @field_validator("mask_values", mode="before")
    @classmethod
    def _key_colors_as_text(cls, values: Any) -> Any:
        """Keep stored values as integers; YAML gives colours and label names as text."""
        if values is None:
            return {}
        if isinstance(values, dict) and any(isinstance(key, bool) for key in values):
            raise ValueError("expected stored values, got true or false. Put quotes around yes, no, on and off")
        return values

    @model_validator(mode="after")
    def _check_together(self) -> "DatasetSpec":
        _check_meanings(self)
        _check_lengths(self)
        _check_class_names(self)
        return self


def _check_meanings(spec: DatasetSpec) -> None:
    """Every stored value means one thing, and every class has one."""
    for value, name in spec.mask_values.items():
        if name is not None and name not in spec.classes:
            raise ValueError(
                f"mask_values: expected a name from classes, got {name!r} for {value}.{nearest(name, spec.classes)} "
                "Add it to `classes`, or use null for pixels to ignore"
            )
    if spec.encoding == "rgb":
        _check_color_meanings(spec)
    elif spec.encoding not in ANNOTATION_ENCODINGS:
        _check_integer_meanings(spec)


def _check_color_meanings(spec: DatasetSpec) -> None:
    for value in spec.mask_values:
        try:
            parse_color(value)
        except ValueError:
            raise ValueError(
                f"mask_values: expected colours for `encoding: rgb`, got {value!r}. Write them as '128,64,0': name"
            ) from None
    whole = [v for v in spec.ignore if isinstance(v, int)]
    if whole:
        raise ValueError(f"ignore: expected colours for `encoding: rgb`, got {whole[0]}. Write [0, 0, 0]")
    known = set(spec.mask_values.values())
    if spec.colors is None and (lost := [name for name in spec.classes if name not in known]):
        raise ValueError(f"colors: expected a colour for every class, got none for {lost[0]!r}. List `colors`")


def _check_integer_meanings(spec: DatasetSpec) -> None:
    for value in (*spec.mask_values, *spec.ignore):
        if not isinstance(value, int) or not 0 <= value <= 65535:
            raise ValueError(
                f"mask_values, ignore: expected whole numbers from 0 to 65535 for `encoding: {spec.encoding}`, "
                f"got {value!r}. Use `encoding: rgb` if masks hold colours"
            )
    meant = set(spec.mask_values.values())
    if spec.mask_values and (lost := [name for name in spec.classes if name not in meant]):
        raise ValueError(
            f"mask_values: expected a stored value for every class, got none for {lost[0]!r}. "
            f"Add a line for it: `mask_values: {{…, value: {lost[0]}}}`"
        )
    named = {v: n for v, n in spec.mask_values.items() if n is not None} or dict(enumerate(spec.classes))
    for value in spec.ignore:
        if isinstance(value, int) and value in named:
            raise ValueError(
                f"ignore: expected values that are no class, got {value}, which is {named[value]!r}. "
                "Leave it out here, or say in `mask_values` what each stored value means"
            )


def _check_lengths(spec: DatasetSpec) -> None:
    per_class = {key: getattr(spec, key) for key in ("colors", "pixel_counts", "image_counts", "image_pixel_counts")}
    for key, values in per_class.items():
        if values is not None and len(values) != len(spec.classes):
            raise ValueError(f"{key}: expected {len(spec.classes)}, one for each class, got {len(values)}")
    for key in ("mean", "std"):
        values = getattr(spec, key)
        if values is not None and len(values) != spec.channels:
            raise ValueError(f"{key}: expected {spec.channels}, one for each channel, got {len(values)}")


def _check_class_names(spec: DatasetSpec) -> None:
    """`background` and `mask_classes` name classes."""
    named: dict[str, tuple[str, ...]] = {"background": (spec.background,) if spec.background is not None else ()}
    named["mask_classes"] = spec.mask_classes or ()
    for key, names in named.items():
        for name in names:
            if name not in spec.classes:
                raise ValueError(
                    f"{key}: expected a name from classes, got {name!r}.{nearest(name, spec.classes)} "
                    f"Known: {', '.join(spec.classes)}"
                )
    if spec.mask_classes is not None and not spec.mask_classes:
        raise ValueError("mask_classes: expected at least one class, got none. Leave the key out to use every mask")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return " Did you mean 'x'?", or nothing where no known name is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _explain(error: dict[str, Any]) -> str:
    """Return one problem of pydantic's in our words."""
    where = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("tuple", "function", "dict")))
    if error["type"] == "extra_forbidden":
        known = list(DatasetSpec.model_fields)
        return f"expected known keys, got {where!r}.{nearest(where, known)} Known: {', '.join(known)}."
    if error["type"] == "missing":
        return f"expected {where}, got nothing. Add `{where}: [name, name, …]`."
    if error["type"] == "value_error":
        return (f"{where}: " if where else "") + str(error["ctx"]["error"]) + "."
    message = str(error["msg"]).replace("Input should be", "expected")
    return f"{where}: {message}, got {error['input']!r}."


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise DataError(f"{path}: expected at most {MAX_YAML_BYTES:,} bytes, got more. Is it a dataset.yaml?")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: expected a dataset.yaml, cannot read it ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise DataError(f"{path}: expected YAML, got something else ({line}). Correct that line.") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DataError(f"{path}: expected keys such as `classes:`, got {type(values).__name__}. See the reference.")
    return values


def _plain(value: Any) -> Any:
    """Return lists for tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _line(key: str, value: Any) -> str:
    """Return one entry: on one line where it is short; a long mapping one line an item."""
    if not isinstance(value, dict | list):
        return _dump({key: value}, flow=False, width=10**6)
    one = _dump({key: value}, flow=True, width=10**6).strip()[1:-1]
    if len(one) <= _WIDTH:
        return one + "\n"
    return _dump({key: value}, flow=False if isinstance(value, dict) else None, width=_WIDTH)


def _dump(value: Any, *, flow: bool | None, width: int) -> str:
    return str(yaml.safe_dump(value, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=width))
