"""What is known of each image: a mask that training may use, tags, both, or nothing.

                    a mask file, listed in `masked`     none, or not listed
    tags            a pair, with tags                   a picture that has tags only
    no tags         a pair                              left out

Tags come from a file, or from the masks; a mask that may be used decides over the file.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from perpixel.data.lists import read_list
from perpixel.data.masks import IGNORE
from perpixel.data.pairs import Listing, Pair, Picture
from perpixel.data.spec import FROM_MASKS, DatasetSpec
from perpixel.data.tags import Tags, read_tags
from perpixel.errors import DataError

TRAIN = "train"  # the only split whose masks may be hidden


class Supervision:
    """The labels that a `dataset.yaml` allows.

    Args:
        spec: Its contents.
        root: The folder that its paths start from.
        listing: The images and masks that are there.
    """

    def __init__(self, spec: DatasetSpec, root: Path, listing: Listing) -> None:
        self.spec, self.root, self.listing = spec, root, listing

    @property
    def from_masks(self) -> bool:
        """Whether masks alone say what an image shows."""
        return not self.spec.has_tag_file

    @cached_property
    def masked(self) -> frozenset[str] | None:
        """The names of the training pairs whose masks may be used; None: of all.

        Raises:
            DataError: There is no such list, or it names what has no mask.
        """
        if self.spec.masked is None:
            return None
        source = self.root / self.spec.masked
        names = frozenset(line.removeprefix(f"{TRAIN}/") for line in read_list(source))
        lost = sorted(names - {pair.name for pair in self.listing.pairs if pair.split == TRAIN})
        if lost:
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            raise DataError(
                f"{source}: expected names of training images that have a mask, got "
                f"{', '.join(map(repr, lost[:3]))}{more}. Correct the lines, or add the masks.",
                [f"{source}: {name!r} has no mask in {TRAIN}" for name in lost],
            )
        return names

    def shows(self, pair: Pair) -> bool:
        """Return whether a pair's mask may be used."""
        return pair.split != TRAIN or self.masked is None or pair.name in self.masked

    def pictures(self, split: str, pairs: Sequence[Pair]) -> list[Picture]:
        """Return a split's pairs and its images that have tags only, by name.

        Raises:
            DataError: The tags cannot be used.
        """
        known = {*self.spec.exclude, *(pair.id for pair in pairs)}
        tagged = [p for p in self.without_mask(split) if p.id not in known and self._is_tagged(p)]
        return sorted([*pairs, *tagged], key=lambda picture: picture.name)

    def without_mask(self, split: str) -> Iterator[Picture]:
        """Yield a split's images without a mask that may be used, whether they have tags or not."""
        for pair in self.listing.pairs:
            if pair.split == split and not self.shows(pair):
                yield Picture(pair.name, pair.split, pair.image, None, pair.key)
        yield from (picture for picture in self.listing.bare if picture.split == split)

    def _is_tagged(self, picture: Picture) -> bool:
        if self.spec.tags == FROM_MASKS:
            return picture.id in self._pairs
        return picture.id in self.tag_file

    @cached_property
    def tag_file(self) -> Tags:
        """What the file of tags says; nothing where there is none.

        Raises:
            DataError: It cannot be read or understood; all that is wrong is listed.
        """
        self.tag_lines.require()
        return self.tag_lines

    @cached_property
    def tag_lines(self) -> Tags:
        """The same, with what is wrong in it.

        Raises:
            DataError: There is no such file, or no `image,tags` in it.
        """
        if self.spec.tags is None or self.spec.tags == FROM_MASKS:
            return Tags()
        everything = (*self.listing.pairs, *self.listing.bare)
        return read_tags(self.root / self.spec.tags, self.root, everything, self.spec.classes)

    def mask_for_tags(self, picture: Picture) -> Pair | None:
        """Return the pair whose mask says what an image shows; a hidden one does where all tags are from masks."""
        pair = self._pairs.get(picture.id)
        return pair if pair is not None and (self.from_masks or self.shows(pair)) else None

    def tags(self, picture: Picture, seen: Sequence[int] | None, mask_ids: Sequence[int]) -> tuple[int, ...]:
        """Return the ids that an image shows.

        Args:
            picture: The image.
            seen: The ids in its mask, where that may be used.
            mask_ids: The ids for which the mask decides.

        Raises:
            DataError: Nothing is known of it.
        """
        said = self.tag_file.of(picture.id)
        shown = None if seen is None else {*seen} - {IGNORE}
        if said is None and shown is None:
            raise DataError(
                f"tags: expected tags or a mask for {picture.id}, found neither. Add a line for it to "
                f"{self.spec.tags or 'a file of tags'}, or leave it out: `exclude: [{picture.id}]` in dataset.yaml."
            )
        if said is None or shown is None:
            return tuple(sorted(shown or said or ()))
        return tuple(sorted(({*said} - {*mask_ids}) | (shown & {*mask_ids})))

    def fingerprint(self, pictures: Sequence[Picture], mask_ids: Sequence[int]) -> bytes:
        """Return what tags and masks of some classes add to a data set's fingerprint."""
        lines = [(p.id, p.image.stat().st_size if p.mask is None else 0, self.tag_file.of(p.id)) for p in pictures]
        return repr((self.spec.tags == FROM_MASKS, tuple(mask_ids), lines)).encode()

    @cached_property
    def _pairs(self) -> dict[str, Pair]:
        return {pair.id: pair for pair in self.listing.pairs}
