"""Reads the installed timm into a catalogue; run by tools/make_catalogue.py, and for other versions."""

from __future__ import annotations

from typing import Any

from zoomgr.api import Digest

DEFAULTS: dict[str, Any] = {
    "hub": "timm/",
    "license": "apache-2.0",
    "num_classes": 1000,
    "input_size": [3, 224, 224],
    "crop_pct": 0.875,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
"""What a row means by leaving a key out; "timm/" is the hub id timm/NAME.TAG, as timm itself writes it."""

_FACTS = (
    "num_classes",
    "input_size",
    "test_input_size",
    "crop_pct",
    "test_crop_pct",
    "crop_mode",
    "interpolation",
    "mean",
    "std",
    "origin_url",
    "paper_ids",
    "paper_name",
)

_HEADS = {
    "gemma4_vit_167m_enc": [],
    "gemma4_vit_570m_enc": [],
    "levit_384_s8": ["head.linear", "head_dist.linear"],
    "levit_conv_384_s8": ["head.linear", "head_dist.linear"],
    "mobilenetv5_300m_enc": [],
}
"""Where timm 1.0.31 declares a `classifier` that is not there, or one of two: found by building every
architecture with another count of classes (tools/sweep.py, which also finds what would have to be here)."""
_STEMS = {
    "body.conv1.conv": "body.conv1.conv[16,n]",
    "embeds.proj": "embeds.proj[256,n]",
    "encoder.patch_embed.input_proj": "encoder.patch_embed.input_proj[n,256]",
    "patch_embed.input_proj": "patch_embed.input_proj[n,256]",
}
"""How the channels lie along the input axis of each `first_conv` that takes more than one pixel's.

In order: tresnet takes 4x4 pixels, pixel by pixel (timm/layers/space_to_depth.py); naflexvit patches of
16x16, pixel by pixel (`batch_patchify` of timm/models/naflexvit.py, channels last); gemma4_vit such patches,
channel by channel (the same, channels first). A test compares their answers when further channels are silent.
"""


def make_catalogue() -> dict[str, Any]:
    """Architectures and weights of the installed timm, sorted; see docs/catalogues.md for the rows.

    Deprecated names and tags without weights are left out, as `timm.list_models` does.
    """
    import timm

    names = timm.list_models()
    return {
        "version": timm.__version__.partition("+")[0],
        "defaults": DEFAULTS,
        "architectures": {name: architecture_row(name) for name in names},
        "weights": {
            full: _weight_row(full) for full in timm.list_pretrained() if full.split(".")[0] in names
        },
    }


def architecture_row(name: str) -> dict[str, Any]:
    """The default tag, stem and head of an architecture; for one without weights the rest as well.

    Raises:
        LookupError: timm has no such architecture.
    """
    from timm.models import get_pretrained_cfg, is_model

    if not is_model(name):
        raise LookupError(name)
    cfg = get_pretrained_cfg(name)
    if cfg is None:
        return {}
    row: dict[str, Any] = {
        "stem": [_STEMS.get(path, path) for path in _paths(cfg.first_conv)],
        "head": _HEADS.get(name, _paths(cfg.classifier)),
    }
    if cfg.num_classes != DEFAULTS["num_classes"]:
        row["num_classes"] = cfg.num_classes
    row = row | {"default": cfg.tag} if cfg.has_weights else _described(cfg) | row
    return {key: value for key, value in row.items() if value not in (None, [])}


def _weight_row(full_name: str) -> dict[str, Any]:
    """What differs from `DEFAULTS`: where the file is, and what it was trained on and for."""
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(full_name)
    hub = cfg.hf_hub_id or ""
    row = {
        "hub": "timm/" if hub == f"timm/{full_name}" else hub,
        "hub_filename": cfg.hf_hub_filename,
        "url": cfg.url or None,
        "digest": _digest(cfg.url),
        "license": "" if cfg.license in (None, "unknown") else cfg.license,
        "notes": _sentences(cfg.notes),
        **_described(cfg),
    }
    return {key: value for key, value in row.items() if value is not None and value != DEFAULTS.get(key)}


def _described(cfg: Any) -> dict[str, Any]:
    facts = {key: _plain(getattr(cfg, key)) for key in _FACTS}
    return {key: value for key, value in facts.items() if value is not None and value != DEFAULTS.get(key)}


def _digest(url: str | None) -> str | None:
    digest = Digest.from_filename(url.rpartition("/")[2]) if url else None
    return digest.hex if digest else None


def _paths(names: str | tuple[str, ...] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _sentences(notes: str | tuple[str, ...] | None) -> str | None:
    return notes if isinstance(notes, str) or notes is None else " ".join(notes)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
