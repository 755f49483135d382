"""For authors of plugins: checks that a plugin keeps its protocol's promises. Run them in your own tests.

from zoomgr.testing import check_source

def test_our_catalogue() -> None:
    check_source(AcmeSource())
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zoomgr.errors import UnknownArchitectureError
from zoomgr.hookspecs import Adapter, ArchitectureFamily, NamedSource, Source, Transport
from zoomgr.records import ArchiveMember, Artifact, ModelRef, Span, TensorSpec


def check_source(source: Source) -> None:
    """Its cards are its own, each reference means one of them, and each file can be asked for.

    Raises:
        AssertionError: what is not so.
    """
    _expect(isinstance(source, Source), f"{source!r} is no Source")
    cards = list(source.cards())
    for card in cards:
        _expect(card.ref.source == source.name, f"{card.ref} is not of the source {source.name}")
        _expect(ModelRef.parse(str(card.ref)) == card.ref, f"{card.ref} is not read back as it is written")
        if card.artifact:
            _expect(bool(card.artifact.urls), f"{card.ref} has a file, but no URL for it")
            _expect("/" not in card.artifact.filename, f"{card.ref}: {card.artifact.filename} is a path")
    for ref, count in Counter(str(card.ref) for card in cards).items():
        _expect(count == 1, f"{ref} is listed {count} times")
    for name, count in Counter(card.ref.name for card in cards if card.is_default).items():
        _expect(count == 1, f"{name} has {count} default weights")
    if isinstance(source, NamedSource):
        for name in {card.ref.name for card in cards}:
            own = [card for card in cards if card.ref.name == name]
            _expect(list(source.named(name)) == own, f"{name} looked up gives other cards than the list has")
        _expect(not list(source.named("no-such-model")), "a name that is not listed gives cards")


def check_transport(transport: Transport, url: str, content: bytes) -> None:
    """It gives the bytes of a URL, whole and from an offset.

    Args:
        transport: to check.
        url: something that it opens.
        content: what lies there, two bytes at least.

    Raises:
        AssertionError: what is not so.
    """
    _expect(isinstance(transport, Transport), f"{transport!r} is no Transport")
    for offset in (0, len(content) // 2):
        opened = transport.open(url, Span(offset))
        if isinstance(opened, ArchiveMember):
            _expect(opened.archive.digest is not None, f"{url} lies in an archive that nobody promises")
            return
        if isinstance(opened, Artifact):
            _expect(url not in opened.urls, f"{url} is said to be the file at itself")
            return
        with opened as body:
            got, begins = b"".join(body), body.offset
        _expect(begins in {0, offset}, f"{url} asked from {offset} on begins at {begins}")
        _expect(got == content[begins:], f"{url} from {begins} on gives other bytes")


def check_family(family: ArchitectureFamily) -> None:
    """Its names are distinct, and a name that it does not have is refused as zoomgr expects.

    Raises:
        AssertionError: what is not so.
    """
    _expect(isinstance(family, ArchitectureFamily), f"{family!r} is no ArchitectureFamily")
    names = list(family.names())
    _expect(len(names) == len(set(names)), f"{family.name} lists a name twice")
    try:
        family.build("no-such-architecture")
    except UnknownArchitectureError:
        return
    raise AssertionError(f"{family.name} builds an architecture that it does not list")


def check_adapter(adapter: Adapter, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> None:
    """It recognises its schema, accounts for each target once, and does not depend on the order of keys.

    Args:
        adapter: to check.
        source: a whole checkpoint of its schema.
        target: the network that the checkpoint belongs to.

    Raises:
        AssertionError: what is not so.
    """
    _expect(isinstance(adapter, Adapter), f"{adapter!r} is no Adapter")
    _expect(adapter.recognises(source), f"{adapter.name} does not recognise its own schema")
    _expect(not adapter.recognises(target), f"{adapter.name} takes the network's own keys for its schema")
    mapped = adapter.map(source, target)
    filled = Counter(move.target for move in mapped.moves)
    _expect(set(filled) == {spec.name for spec in target}, f"{adapter.name} leaves targets out")
    _expect(set(filled.values()) == {1}, f"{adapter.name} fills a target twice")
    # safetensors gives keys in alphabetical order, whatever the order was when they were saved.
    again = adapter.map(sorted(source, key=_name), sorted(target, key=_name))
    _expect(set(again.moves) == set(mapped.moves), f"{adapter.name} depends on the order of keys")


def _name(spec: TensorSpec) -> str:
    return spec.name


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)
