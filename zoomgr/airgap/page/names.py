"""Under which file name a model has its page."""

from __future__ import annotations

import re
from hashlib import sha256

_PLAIN = re.compile(r"[a-z0-9_-]+/[a-z0-9_][a-z0-9_.-]*(?:@[a-z0-9_.-]+)?")
_LONGEST = 120  # bytes; file systems take 255, some object stores' tools less
_KEPT = 60


def slug_of(ref: str) -> str:
    """A file name without its ending: `torchvision/vgg16@imagenet1k_v1` -> `torchvision~vgg16~imagenet1k_v1`.

    No two references have the same, also where capitals do not count; none has a character that a URL, a
    shell or a file system reads as anything else. What is no plain name gets the digest of its text, behind
    what can be read of it.
    """
    if len(ref) <= _LONGEST and _PLAIN.fullmatch(ref):
        return ref.replace("/", "~").replace("@", "~")
    readable = re.sub(r"[^a-z0-9]+", "-", ref.lower())[:_KEPT].strip("-")
    return f"{readable or 'model'}~~{sha256(ref.encode(errors='surrogatepass')).hexdigest()}"
