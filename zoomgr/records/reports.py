"""What a load did, and what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from zoomgr.records.plans import LoadPlan

_EQUAL_OUTPUTS = 1e-4
"""Sums in another order differ by 1e-6 or so; BatchNorm's eps alone makes 1e-3 (EfficientNet-B5)."""
_USUAL_DEVIATION = 3.0
"""Measured with efficientnet_lite0: 1.1 at worst for one photo, 0.8 for five, 1.3 for noise; two norms of one
block exchanged give 7, those of all blocks 127."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a filled network does, which shows more than keys and shapes: whether it computes what it should.

    Attributes:
        parity: largest difference from the outputs of the network that the weights come from, as a part of
            its largest output; None where there was none to compare with.
        deviation: of the norm that sees the strangest inputs, how far their means lie from what it was
            trained on, in its own standard deviations; None without running statistics.
        layer: that norm.
        confidence: mean of the highest probability on the pictures; None for what is no classifier.
    """

    parity: float | None = None
    deviation: float | None = None
    layer: str = ""
    confidence: float | None = None

    @property
    def verdict(self) -> Literal["proven", "contradicted", "plausible", "unknown"]:
        """Proven by equal outputs alone; statistics that fit say only that nothing speaks against it."""
        if self.parity is not None:
            return "proven" if self.parity <= _EQUAL_OUTPUTS else "contradicted"
        if self.deviation is None:
            return "unknown"
        return "plausible" if self.deviation <= _USUAL_DEVIATION else "contradicted"

    def __str__(self) -> str:
        facts = []
        if self.parity is not None:
            facts.append(f"outputs differ from the source's by {self.parity:.1e} of its largest")
        if self.deviation is not None:
            facts.append(f"the inputs of {self.layer} lie {self.deviation:.1f} deviations from its training")
        if self.confidence is not None:
            facts.append(f"mean confidence {self.confidence:.0%}")
        return f"{self.verdict}: {', '.join(facts) or 'nothing to check it by'}"


STRUCTURE_ONLY = "structure only, not proven"
"""How far keys and shapes carry: strides, padding, eps and activations do not show in them."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did.

    Attributes:
        plan: what was carried out.
        ref: the weights, canonical reference or path.
        digest: whole sha256 of the file they came from; empty for tensors that came from memory.
        wrappers: what was taken off the checkpoint, outermost first, e.g. ("state_dict", "module.").
        seconds: per stage: resolve, fetch, read, build, plan, apply.
        stem_shift: how far adapting the stem has moved its response to RGB pictures while further channels
            are zero, as a part of that response (relative L2 for pixels of unit variance); 0 when it is
            exactly kept, None when no stem was adapted, or fewer than three channels cannot show RGB.
        evidence: that the network computes what its weights mean; None where nothing was asked.
        proof: why the network should compute what its weights mean, as far as keys tell.
    """

    plan: LoadPlan
    ref: str
    digest: str = ""
    wrappers: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    stem_shift: float | None = None
    evidence: Evidence | None = None
    proof: str = STRUCTURE_ONLY

    @property
    def match(self) -> str:
        """How keys were matched: "name", "position", "align", "mapping", "rules FILE", an adapter's name."""
        return self.plan.adapter

    @property
    def loaded(self) -> tuple[str, ...]:
        """Targets that got the checkpoint's values, renamed or reshaped at most."""
        return tuple(move.target for move in self.plan.moves if not move.is_adapted)

    @property
    def adapted(self) -> tuple[str, ...]:
        """Targets whose values were computed from the checkpoint's (a stem for other channels)."""
        return tuple(move.target for move in self.plan.moves if move.is_adapted)

    @property
    def fresh(self) -> tuple[str, ...]:
        """Targets that were initialised anew."""
        return tuple(item.target for item in self.plan.fresh)

    @property
    def unused(self) -> tuple[str, ...]:
        """Sources that went nowhere."""
        return tuple(item.source for item in self.plan.unused)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of such weights in such a network, and keys cannot tell."""
        return self.plan.notes

    def share(self, kind: Literal["loaded", "adapted", "fresh"]) -> float:
        """Part of the network's values, 0..1, that was loaded, adapted or made fresh."""
        numel = {spec.name: spec.numel for spec in self.plan.target}
        total = sum(numel.values())
        names: tuple[str, ...] = getattr(self, kind)
        return sum(numel[name] for name in names) / total if total else 0.0

    def __str__(self) -> str:
        shares = (
            ("loaded", self.share("loaded")),
            ("adapted", self.share("adapted")),
            ("fresh", self.share("fresh")),
        )
        values = ", ".join(f"{_percent(share)} {what}" for what, share in shares if share)
        proof = f"\n{self.evidence or self.proof}"
        return f"{self.ref}: {values} of the network's values\n{self.plan}{proof}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"  # noqa: PLR2004 (what one digit can show)
