"""Layers kept in another form by one library: query, key and value joined or apart, matrices transposed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from zoomgr.adapt.align.atoms import Atom, Part, Path
from zoomgr.records import Concat, Copy, Permute, Split

_LETTER = re.compile(
    r"(?:to_|w|lin_|proj_)?(kv|q|k|v|query|key|value|queries|keys|values)(?:_?(?:proj|lin|linear|projection))?"
)
_JOINED = ("qkv", "kv")
_APART = (("q", "k", "v"), ("q", "kv"), ("k", "v"))


def in_terms_of(source: Sequence[Atom], target: Sequence[Atom]) -> list[Atom]:
    """The source's layers, joined or split where the target has the other form.

    Parts are joined in the order of their names, never of the file: some modules register keys first, and a
    sorted file has them so. A matrix that no layer holds (CLIP's projection) is turned where only that fits.
    """
    lacking = Counter(atom.colour for atom in target)
    lacking.subtract(atom.colour for atom in source)
    wanted = {colour for colour, count in lacking.items() if count > 0}
    made, used = [], set[Path]()
    for owner, parts in _projections(source).items():
        for letters in _JOINED:
            if set(letters) <= parts.keys():
                apart = _without_partial_bias({letter: parts[letter] for letter in letters})
                joined = _joined(owner, letters, list(apart.values()))
                if joined and joined.colour in wanted:
                    made += [joined, *_biases(owner, {letter: parts[letter] for letter in letters}, apart)]
                    used |= {parts[letter].path for letter in letters}
                    lacking.subtract([joined.colour])
                    break
    separate = _separate_colours(target)
    for atom in source:
        if "raw" in atom.parts and atom.colour not in wanted and lacking[atom.colour] < 0:
            turned = _turned(atom)
            if turned and turned.colour in wanted:
                made.append(turned)
                used.add(atom.path)
        if len(atom.main.shape) == 2 and lacking[atom.colour] < 0:  # noqa: PLR2004 (out, in)
            split = list(_split(atom, separate))
            if split:
                made += split
                used.add(atom.path)
    return sorted([*(atom for atom in source if atom.path not in used), *made], key=lambda atom: atom.path)


def _projections(atoms: Sequence[Atom]) -> Mapping[Path, dict[str, Atom]]:
    """Layers whose names say that they give queries, keys or values, by module and letter, or by "kv"."""
    found: defaultdict[Path, dict[str, Atom]] = defaultdict(dict)
    for atom in atoms:
        if atom.path and "weight" in atom.parts and (letter := _LETTER.fullmatch(atom.path[-1].lower())):
            found[atom.path[:-1]][letter[1] if letter[1] == "kv" else letter[1][0]] = atom
    return found


def _without_partial_bias(parts: Mapping[str, Atom]) -> dict[str, Atom]:
    """The same without biases, where not all have one: BEiT's and SwinV2's keys have none."""
    if len({"bias" in atom.parts for atom in parts.values()}) == 1:
        return dict(parts)
    return {
        letter: replace(atom, parts={role: part for role, part in atom.parts.items() if role != "bias"})
        for letter, atom in parts.items()
    }


def _biases(owner: Path, parts: Mapping[str, Atom], apart: Mapping[str, Atom]) -> Iterator[Atom]:
    """Those that were taken off, as the tensors of their own that they are beside a joined layer."""
    for letter, atom in parts.items():
        if "bias" in atom.parts and "bias" not in apart[letter].parts:
            yield Atom((*owner, letter, "bias"), {"raw": atom.parts["bias"]}, atom.rank)


def _joined(owner: Path, letters: str, atoms: Sequence[Atom]) -> Atom | None:
    """One layer of several; None where they do not have the same tensors."""
    roles = set(atoms[0].parts)
    if any(set(atom.parts) != roles for atom in atoms):
        return None
    parts = {}
    for role in atoms[0].parts:
        own = [atom.parts[role] for atom in atoms]
        if any(type(part.op) is not Copy or part.shape[1:] != own[0].shape[1:] for part in own):
            return None
        shape = (sum(part.shape[0] for part in own), *own[0].shape[1:])
        parts[role] = Part(tuple(part.names[0] for part in own), shape, Concat(0))
    return Atom((*owner, letters), parts, min(atom.rank for atom in atoms))


def _turned(atom: Atom) -> Atom | None:
    part = atom.main
    if len(part.shape) != 2 or part.shape[0] == part.shape[1]:  # noqa: PLR2004 (in, out)
        return None
    weight = Part(part.names, part.shape[::-1], Permute((1, 0)))
    return Atom(atom.path, {"weight": weight}, atom.rank)


def _separate_colours(target: Sequence[Atom]) -> Mapping[tuple[object, ...], Sequence[str]]:
    """Colours that a joined layer would have, of what the target keeps apart, and which letters those are."""
    found = {}
    for owner, parts in _projections(target).items():
        for apart in _APART:
            if set(apart) == parts.keys():
                joined = _joined(owner, "".join(apart), [parts[letters] for letters in apart])
                if joined:
                    found[joined.colour] = apart
    return found


def _split(atom: Atom, separate: Mapping[tuple[object, ...], Sequence[str]]) -> Iterator[Atom]:
    apart = separate.get(atom.colour, ())
    whole = len("".join(apart))
    start = 0
    for letters in apart:
        parts = {}
        for role, part in atom.parts.items():
            one = part.shape[0] // whole
            shape = (one * len(letters), *part.shape[1:])
            parts[role] = replace(part, shape=shape, op=Split(one * start, shape[0]))
        yield Atom((*atom.path, letters), parts, atom.rank)
        start += len(letters)
