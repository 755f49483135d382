"""What names of layers say: their words, and their order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from zoomgr.adapt.align.atoms import Path

_PIECES = re.compile(r"\d+|[a-z]+|[A-Z][a-z]*|[A-Z]+")

_SYNONYMS = {
    "conv": ("convolution", "conv2d", "cnv"),
    "norm": ("bn", "ln", "gn", "layernorm", "batchnorm", "normalization", "layer_norm", "batch_norm"),
    "linear": ("fc", "dense", "lin", "proj", "projection", "output", "out"),
    "out": ("output", "proj"),
    "attn": ("attention", "msa", "self", "mhsa", "attend"),
    "mlp": ("ffn", "feedforward", "intermediate", "ff"),
    "down": (
        "downsample",
        "shortcut",
        "identity",
        "skip",
        "residual",
        "reduction",
        "sc",
        "id",
        "proj",
        "match",
        "project",
    ),
    "head": ("classifier", "logits", "cls_head", "fc", "last_linear", "final"),
    "expand": ("expansion", "pw", "exp"),
    "dw": ("depthwise", "dwconv", "depth"),
    "reduce": ("squeeze", "sq", "down_proj"),
    "se": ("excite", "excitation", "squeeze_excite"),
    "pos": ("position", "positional", "pos_embed", "position_embeddings"),
    "cls": ("class", "cls_token"),
    "patch": ("embeddings", "patch_embed"),
    "query": ("q",),
    "key": ("k",),
    "value": ("v",),
    "stem": ("root", "init_block", "embedder"),
    "distilled": ("dist", "distillation", "distil", "distill"),
    "scale": ("gamma", "layerscale", "lambda", "ls"),
}
_MEANINGS = {
    word: frozenset(canon for canon, words in _SYNONYMS.items() if word == canon or word in words)
    for word in {*_SYNONYMS, *(word for words in _SYNONYMS.values() for word in words)}
}
SHORTCUT = "down"
"""The meaning of what leads around a block: some libraries make it first, others last."""
MADE_ANYHOW = frozenset({SHORTCUT, "query", "key", "value"})
"""Meanings of what libraries make in orders of their own: CLIP's ResNets make the keys first."""

_ORDINALS = {
    "before": 0, "pre": 0, "first": 0, "input": 0, "in": 0, "a": 0,
    "after": 1, "post": 1, "second": 1, "final": 2, "b": 1, "c": 2, "d": 3, "e": 4,
}  # fmt: skip
"""Words that say which of several comes first."""


@cache
def pieces(path: Path) -> frozenset[str | int]:
    """The words of a path, each by what it may mean, and its numbers."""
    found: set[str | int] = set()
    for segment in path:
        for text in _PIECES.findall(segment):
            word = text.lower()
            found |= {int(word)} if word.isdigit() else _MEANINGS.get(word, frozenset({word}))
    return frozenset(found)


@cache
def _natural(path: Path) -> tuple[tuple[int, int | str], ...]:
    """A key under which numbers are in their own order, and single letters and ordinal words too."""
    key: list[tuple[int, int | str]] = []
    for segment in path:
        for text in re.findall(r"\d+|[^\d_]+|_", segment):
            if text.isdigit():
                key.append((0, int(text)))
            elif text in _ORDINALS:
                key.append((0, _ORDINALS[text]))
            else:
                key.append((1, text))
        key.append((2, "."))
    return tuple(key)


def in_natural_order(paths: Sequence[Path]) -> list[int] | None:
    """Positions of paths in the order that their numbers say; None where they say none.

    Two paths have an order when they first differ in a number: `layer.2` comes before `layer.10`, but which
    of `attn` and `mlp` comes first only the module knows.
    """
    order = sorted(range(len(paths)), key=lambda at: _natural(paths[at]))
    for before, after in pairwise(order):
        one, other = _natural(paths[before]), _natural(paths[after])
        differ = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), None)
        if differ is None or differ[0][0] != 0 or differ[1][0] != 0:
            return None
    return order
