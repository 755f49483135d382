"""Layers are matched by structure alone, and what structure, names and order do not settle stays open."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest

from zoomgr.adapt.align import align, is_registered
from zoomgr.records import Chain, Concat, Fill, Move, Permute, Reshape, Split, TensorSpec

Shapes = dict[str, tuple[int, ...]]


def specs(shapes: Mapping[str, tuple[int, ...]], order: str = "registered") -> tuple[TensorSpec, ...]:
    """Tensors in the order given, sorted by name, or shuffled."""
    names = list(shapes)
    if order == "sorted":
        names.sort()
    elif order == "shuffled":
        random.Random(0).shuffle(names)  # noqa: S311 [for a test]
    return tuple(TensorSpec(name, shapes[name], "float32") for name in names)


def norm(name: str, size: int, *, stats: bool = False) -> Shapes:
    """Tensors of a norm."""
    leaves = ("weight", "bias", *(("running_mean", "running_var") if stats else ()))
    return {f"{name}.{leaf}": (size,) for leaf in leaves}


def linear(name: str, out: int, into: int) -> Shapes:
    """Tensors of a linear layer."""
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def conv(name: str, out: int, into: int, size: int) -> Shapes:
    """Tensors of a convolution without a bias, as before a batch norm."""
    return {f"{name}.weight": (out, into, size, size)}


def transformer(  # noqa: PLR0913, PLR0917 [what its parts are called]
    block: str,
    norms: Sequence[str],
    qkv: Sequence[str],
    out: str,
    mlp: Sequence[str],
    last: str,
    count: int = 12,
) -> Shapes:
    """A small vision transformer under other names; qkv is one name or three."""
    made: Shapes = {}
    for number in range(count):
        at = f"{block}.{number}"
        made |= norm(f"{at}.{norms[0]}", 8)
        for name in qkv:
            made |= linear(f"{at}.{name}", 24 // len(qkv), 8)
        made |= linear(f"{at}.{out}", 8, 8) | norm(f"{at}.{norms[1]}", 8)
        made |= linear(f"{at}.{mlp[0]}", 32, 8) | linear(f"{at}.{mlp[1]}", 8, 32)
    return made | norm(last, 8) | linear("head", 5, 8)


OURS = transformer("blocks", ("norm1", "norm2"), ["attn.qkv"], "attn.proj", ("mlp.fc1", "mlp.fc2"), "norm")
THEIRS = transformer(
    "encoder.layer",
    ("layernorm_before", "layernorm_after"),
    [f"attention.attention.{name}" for name in ("query", "key", "value")],
    "attention.output.dense",
    ("intermediate.dense", "output.dense"),
    "layernorm",
)


def moved(moves: Sequence[Move]) -> dict[str, tuple[str, ...]]:
    """Sources by target."""
    return {move.target: move.sources for move in moves}


ORDERS = pytest.mark.parametrize("order", ["registered", "sorted", "shuffled"])


@ORDERS
def test_blocks_and_their_layers_are_found_under_other_names(order: str) -> None:
    """Twelve blocks of one shape are told apart by their numbers, two norms by what their names say."""
    found = align(specs(THEIRS, order), specs(OURS))

    at = moved(found.moves)
    assert (found.ambiguous, found.unmatched, found.unused) == ((), (), ())
    assert at.keys() == OURS.keys()
    assert at["blocks.10.norm1.weight"] == ("encoder.layer.10.layernorm_before.weight",)
    assert at["blocks.2.norm2.bias"] == ("encoder.layer.2.layernorm_after.bias",)
    assert at["norm.weight"] == ("layernorm.weight",)


@ORDERS
def test_query_key_and_value_are_joined_by_name_and_not_by_order(order: str) -> None:
    """A sorted file has the key first, and so do some modules."""
    found = align(specs(THEIRS, order), specs(OURS))

    (move,) = (move for move in found.moves if move.target == "blocks.3.attn.qkv.weight")
    assert move.sources == tuple(
        f"encoder.layer.3.attention.attention.{name}.weight" for name in ("query", "key", "value")
    )
    assert move.op == Concat(0)


@ORDERS
def test_a_joined_projection_is_split_where_the_network_has_three(order: str) -> None:
    """In the other direction."""
    found = align(specs(OURS, order), specs(THEIRS))

    ops = {move.target: move.op for move in found.moves}
    assert ops.keys() == THEIRS.keys()
    assert ops["encoder.layer.0.attention.attention.key.weight"] == Split(8, 8)
    assert ops["encoder.layer.0.attention.attention.value.bias"] == Split(16, 8)


def residual(first: str, second: str, around: str, *, around_first: bool) -> Shapes:
    """A block whose first convolution and shortcut have one shape."""
    way = conv(f"{around}.0", 16, 8, 1) | norm(f"{around}.1", 16, stats=True)
    own = conv(f"{first}.0", 16, 8, 1) | norm(f"{first}.1", 16, stats=True)
    own |= conv(f"{second}.0", 16, 16, 3) | norm(f"{second}.1", 16, stats=True)
    return way | own if around_first else own | way


@ORDERS
def test_a_shortcut_that_was_made_first_is_not_the_first_convolution(order: str) -> None:
    """Its name is believed, and the order of making is not."""
    source = residual("s1.f.a", "s1.f.b", "s1.proj", around_first=True)
    target = residual("layer1.conv1", "layer1.conv2", "layer1.downsample", around_first=False)

    found = align(specs(source, order), specs(target))

    at = moved(found.moves)
    assert at["layer1.downsample.0.weight"] == ("s1.proj.0.weight",)
    assert at["layer1.conv1.0.weight"] == ("s1.f.a.0.weight",)
    assert at["layer1.conv1.1.running_mean"] == ("s1.f.a.1.running_mean",)


def test_layers_that_nothing_tells_apart_are_named_and_not_guessed() -> None:
    """Two linear layers of one shape, under words that say nothing, in a file that lost its order."""
    source = linear("red", 4, 4) | linear("blue", 4, 4) | linear("last", 2, 4)
    target = linear("one_way", 4, 4) | linear("other_way", 4, 4) | linear("fc", 2, 4)

    found = align(specs(source, "sorted"), specs(target))

    assert found.ambiguous == ((("blue", "red"), ("one_way", "other_way")),)
    assert moved(found.moves).keys() == {"fc.weight", "fc.bias"}


def test_a_norm_belongs_to_the_convolution_beside_it() -> None:
    """Where names of norms say nothing, those of what they normalise do."""
    source = conv("expand.conv", 8, 2, 1) | norm("expand.bn", 8, stats=True)
    source |= conv("depth.conv", 8, 1, 3) | norm("depth.bn", 8, stats=True)
    target = conv("a", 8, 2, 1) | norm("x", 8, stats=True) | conv("b", 8, 1, 3) | norm("y", 8, stats=True)

    found = align(specs(source, "shuffled"), specs(target))

    assert moved(found.moves)["x.weight"] == ("expand.bn.weight",)
    assert moved(found.moves)["y.running_var"] == ("depth.bn.running_var",)


def test_linear_layers_and_convolutions_of_one_pixel_are_the_same() -> None:
    """And so are axes of one entry, and a matrix for a flattened picture."""
    source = linear("fc1", 4, 6) | {"gamma": (6, 1, 1)} | linear("head", 10, 45)
    target = {"conv.weight": (4, 6, 1, 1), "conv.bias": (4,), "scale": (6,)}
    target |= {"head.weight": (10, 5, 3, 3), "head.bias": (10,)}

    ops = {move.target: move.op for move in align(specs(source), specs(target)).moves}

    assert ops["conv.weight"] == Reshape((4, 6, 1, 1))
    assert ops["scale"] == Reshape((6,))
    assert ops["head.weight"] == Reshape((10, 5, 3, 3))


def test_what_flax_calls_a_kernel_is_turned_round() -> None:
    """(height, width, in, out) there, (out, in, height, width) here."""
    source = {"conv.kernel": (3, 3, 2, 8), "conv.bias": (8,), "fc.kernel": (8, 5), "fc.bias": (5,)}
    target = {"stem.weight": (8, 2, 3, 3), "stem.bias": (8,), "head.weight": (5, 8, 1, 1), "head.bias": (5,)}

    ops = {move.target: move.op for move in align(specs(source), specs(target)).moves}

    assert ops["stem.weight"] == Permute((3, 2, 0, 1))
    assert ops["head.weight"] == Chain((Permute((1, 0)), Reshape((5, 8, 1, 1))))


def test_a_layer_without_a_bias_fills_one_that_has_it_with_zeros() -> None:
    """They compute the same; a bias that has no place is no match."""
    bare, biased = {"fc.weight": (5, 8)}, linear("head", 5, 8)

    found = align(specs(bare), specs(biased))

    assert found.moves == (Move("head.weight", ("fc.weight",)), Move("head.bias", (), Fill((5,), 0.0)))
    assert align(specs(biased), specs(bare)).moves == ()


def test_a_matrix_that_no_layer_holds_is_turned_only_where_it_must_be() -> None:
    """CLIP's projection (width, embedding); a square one may lie either way, and is not guessed."""
    head = {"head.weight": (5, 8), "head.bias": (5,)}

    (weight, _) = align(specs({"proj": (8, 5)}), specs(head)).moves

    assert weight == Move("head.weight", ("proj",), Permute((1, 0)))
    assert align(specs({"proj": (8, 8)}), specs({"head.weight": (8, 8)})).moves == ()


@pytest.mark.parametrize(
    "copies", [("student", "teacher"), ("encoder_k", "encoder_q"), ("momentum_encoder", "base_encoder")]
)
def test_of_two_copies_the_preferred_one_is_taken(copies: tuple[str, str]) -> None:
    """The teacher of DINO, the query encoder of MoCo; prefixes are found, not listed."""
    trunk = {name: shape for name, shape in OURS.items() if not name.startswith("head")}
    source = {
        f"{copy}.backbone.{name}": shape
        for copy in copies
        for name, shape in THEIRS.items()
        if "head" not in name
    }

    found = align(specs(source, "sorted"), specs(trunk))

    assert found.subtree == f"{copies[1]}.backbone"
    assert moved(found.moves).keys() == trunk.keys()


def test_two_copies_that_no_word_tells_apart_are_refused() -> None:
    """Either could be meant."""
    source = {f"{copy}.{name}": shape for copy in ("left", "right") for name, shape in OURS.items()}

    with pytest.raises(LookupError) as caught:
        align(specs(source), specs(OURS))

    assert caught.value.args == ("left", "right")


def test_a_network_of_other_sizes_is_not_filled() -> None:
    """What fits by chance leaves the rest unmatched."""
    wide = {name: tuple(2 * size for size in shape) for name, shape in OURS.items()}

    found = align(specs(THEIRS), specs(wide))

    assert len(found.moves) < 0.1 * len(wide)
    assert found.unmatched


@pytest.mark.parametrize(
    ("order", "expected"), [("registered", True), ("sorted", False), ("shuffled", False)]
)
def test_the_order_of_a_file_is_believed_where_a_bias_follows_its_weight(order: str, expected: bool) -> None:
    """Tools that write safetensors sort names, and order says nothing any more."""
    assert is_registered(specs(OURS, order)) is expected


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_a_number_among_words_is_not_an_order(order: str) -> None:
    """The `conv1` beside an `exp_conv` comes second, and its norm is not `bn1`."""
    source = conv("units.0.conv1.conv", 4, 1, 3) | norm("units.0.conv1.bn", 4, stats=True)
    source |= conv("units.1.exp_conv.conv", 8, 2, 1) | norm("units.1.exp_conv.bn", 8, stats=True)
    source |= conv("units.1.conv1.conv", 8, 1, 3) | norm("units.1.conv1.bn", 8, stats=True)
    target = conv("blocks.0.conv_dw", 4, 1, 3) | norm("blocks.0.bn1", 4, stats=True)
    target |= conv("blocks.1.conv_pw", 8, 2, 1) | norm("blocks.1.bn1", 8, stats=True)
    target |= conv("blocks.1.conv_dw", 8, 1, 3) | norm("blocks.1.bn2", 8, stats=True)

    at = moved(align(specs(source, order), specs(target)).moves)

    assert at["blocks.1.bn1.weight"] == ("units.1.exp_conv.bn.weight",)
    assert at["blocks.1.bn2.running_var"] == ("units.1.conv1.bn.running_var",)


@ORDERS
def test_the_head_of_a_teacher_is_known_by_its_name(order: str) -> None:
    """Two heads of one shape; what was made before them says nothing of which is which."""
    source = norm("norm", 8) | linear("cls_classifier", 5, 8) | linear("distillation_classifier", 5, 8)
    target = norm("norm", 8) | linear("head", 5, 8) | linear("head_dist", 5, 8)

    at = moved(align(specs(source, order), specs(target)).moves)

    assert at["head_dist.weight"] == ("distillation_classifier.weight",)
    assert at["head.bias"] == ("cls_classifier.bias",)


@pytest.mark.parametrize("order", ["registered", "sorted", "shuffled"])
def test_a_projection_of_three_is_split_where_the_network_has_a_query_apart(order: str) -> None:
    """An `in_proj` of torch into a pool with one query, beside blocks whose parts are joined (SigLIP)."""
    pool = {"pool.attention.in_proj_weight": (24, 8), "pool.attention.in_proj_bias": (24,)}
    theirs = THEIRS | pool | linear("pool.attention.out_proj", 8, 8)
    ours = OURS | linear("attn_pool.q", 8, 8) | linear("attn_pool.kv", 16, 8) | linear("attn_pool.proj", 8, 8)

    found = align(specs(theirs, order), specs(ours))

    ops = {move.target: move.op for move in found.moves if move.sources[0].startswith("pool.attention.in")}
    assert ops == {
        "attn_pool.q.weight": Split(0, 8),
        "attn_pool.q.bias": Split(0, 8),
        "attn_pool.kv.weight": Split(8, 16),
        "attn_pool.kv.bias": Split(8, 16),
    }
    assert moved(found.moves)["attn_pool.proj.weight"] == ("pool.attention.out_proj.weight",)
    assert (found.ambiguous, found.unmatched, found.unused) == ((), (), ())


@pytest.mark.parametrize("order", ["registered", "sorted", "shuffled"])
def test_the_last_of_a_series_may_have_another_name_in_the_network(order: str) -> None:
    """Ten blocks by number are nine and one more, in the order in which the network makes them."""
    theirs: Shapes = {}
    ours: Shapes = {}
    for number in range(10):
        at, there = f"stage.unit{number + 2}", f"repeat.{number}" if number < 9 else "block8"
        theirs |= conv(f"{at}.conv", 8, 8, 3) | linear(f"{at}.up", 8, 4)
        ours |= conv(f"{there}.conv", 8, 8, 3) | linear(f"{there}.up", 8, 4)

    found = align(specs(theirs, order), specs(ours))

    assert moved(found.moves)["block8.conv.weight"] == ("stage.unit11.conv.weight",)
    assert moved(found.moves)["repeat.8.conv.weight"] == ("stage.unit10.conv.weight",)
    assert (found.ambiguous, found.unmatched) == ((), ())


@pytest.mark.parametrize("order", ["registered", "sorted", "shuffled"])
@pytest.mark.parametrize("count", [2, 3])
def test_who_counts_from_two_on_has_a_second_layer_that_comes_first(order: str, count: int) -> None:
    """Equal names in series of other numbers say nothing."""
    theirs: Shapes = {}
    ours: Shapes = {}
    for number in range(1, count + 1):
        theirs |= conv(f"block.conv{number + 1}", 8, 8, 3) | norm(f"block.norm{number + 1}", 8)
        ours |= conv(f"block.conv{number}", 8, 8, 3) | norm(f"block.norm{number}", 8)

    at = moved(align(specs(theirs, order), specs(ours)).moves)

    for number in range(1, count + 1):
        assert at[f"block.conv{number}.weight"] == (f"block.conv{number + 1}.weight",)
        assert at[f"block.norm{number}.weight"] == (f"block.norm{number + 1}.weight",)


def test_the_order_of_making_does_not_tell_keys_from_queries() -> None:
    """CLIP's ResNets make the keys first; names that say nothing of either leave it open."""
    source = linear("pool.theta", 8, 8) | linear("pool.phi", 8, 8)
    target = linear("pool.q", 8, 8) | linear("pool.k", 8, 8)

    assert align(specs(source), specs(target)).ambiguous


def test_among_many_norms_the_one_made_after_the_same_layer_is_taken() -> None:
    """A network without modules, in which one library makes shortcuts first and the other last."""
    first: Shapes = {}
    last: Shapes = {}
    for block in range(4):
        around = conv(f"b{block}_proj", 8, block + 2, 1) | norm(f"b{block}_proj_bn", 8, stats=True)
        inside = conv(f"b{block}_body", 8, block + 2, 3) | norm(f"b{block}_body_bn", 8, stats=True)
        first |= around | inside
        last |= {"net+" + name: shape for name, shape in (inside | around).items()}

    found = align(specs(first), specs(last))

    assert moved(found.moves)["net+b2_proj_bn.weight"] == ("b2_proj_bn.weight",)
    assert moved(found.moves)["net+b3_body_bn.weight"] == ("b3_body_bn.weight",)
    assert not found.ambiguous
