"""What a file is: its digest, and where it lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".tar", ".ckpt", ".npz", ".h5", ".pkl", ".params")
"""How names of files with weights end."""
_SHA256_DIGITS = re.compile(r"[0-9a-f]{8,64}")  # torch.hub documents at least 8 (and does not enforce it)
_EXTENSION = "|".join(map(re.escape, (*WEIGHT_SUFFIXES, ".zip", ".gz")))
_PROMISE = re.compile(rf".*[-_]([0-9a-f]{{8,64}})(?:{_EXTENSION}){{1,2}}", re.DOTALL)
_DATE_OR_COUNTER = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d*|000\d+")


@dataclass(frozen=True, slots=True)
class Digest:
    """A sha256, whole (64 hex digits) or weak: the first 8 or more digits, as torchvision publishes them."""

    hex: str

    WHOLE_DIGITS: ClassVar[int] = 64

    def __post_init__(self) -> None:
        if not _SHA256_DIGITS.fullmatch(self.hex):
            raise ValueError(f"{self.hex!r} is not a sha256 of 8 to 64 lower-case hex digits")

    @classmethod
    def parse(cls, text: str) -> Self:
        """`sha256:<hex>` or `<hex>`, in any case.

        Raises:
            ValueError: another algorithm, fewer than 8 or more than 64 digits, or no hex.
        """
        algorithm, _, digits = text.rpartition(":")
        if algorithm not in {"", "sha256"}:
            raise ValueError(f"{algorithm!r} is not supported, only sha256")
        return cls(digits.lower())

    @classmethod
    def from_filename(cls, name: str) -> Self | None:
        """What a file name promises: `vgg16-397923af.pth` a sha256 that begins so, most names nothing.

        A promise is the last group of 8 to 64 lower-case hex digits that stands between a `-` or `_` and the
        extension (one or two of the known ones, `.pth` or `.pth.tar`). torch.hub takes the first `-hex.` that
        it finds instead, with any count of digits: by that rule `net-50.pth` must begin with 50, `foo-.pth`
        always passes, and the right `vit-b-16.v2-deadbeef.pth` fails. `_` is how torchvision writes its
        quantized weights. Decimal groups that read as a date (20240131…) or as a counter padded with three
        zeros or more (00010000) are how people name their own files and promise nothing; of a hundred
        thousand digests about four look like that.
        """
        found = _PROMISE.fullmatch(name)
        return None if found is None or _DATE_OR_COUNTER.fullmatch(found[1]) else cls(found[1])

    @property
    def is_weak(self) -> bool:
        """Whether it is only a prefix, and so proves less than the whole."""
        return len(self.hex) < self.WHOLE_DIGITS

    def matches(self, other: Digest) -> bool:
        """Whether both can be the digest of one file: the shorter is a prefix of the longer."""
        return self.hex.startswith(other.hex) or other.hex.startswith(self.hex)

    def described(self) -> str:
        """For people; a weak digest says that it is one."""
        return f"{self} ({len(self.hex)} of {self.WHOLE_DIGITS} digits)" if self.is_weak else str(self)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to fetch.

    Attributes:
        urls: where it is said to lie, best first; any scheme that a transport opens.
        filename: its own name, for messages and copies.
        size_bytes: as published, for display and progress; publishers round it, so it proves nothing.
        digest: what the publisher, or a pin, promises; None when nobody does.
        promised_by: who promises the digest, for messages.
    """

    urls: tuple[str, ...]
    filename: str
    size_bytes: int | None = None
    digest: Digest | None = None
    promised_by: str = ""
