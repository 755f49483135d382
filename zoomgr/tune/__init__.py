"""From a loaded network to a fine-tuned one: what trains, how fast, and when.

Everything takes any `nn.Module`, whoever built it; what zoomgr declares with a network is used where it is
there.
"""

from zoomgr.tune.advice import Advice, advise
from zoomgr.tune.cut import cut
from zoomgr.tune.features import Embeddings, Features, embeddings, features
from zoomgr.tune.freeze import Freezing, Frozen, freeze, freeze_state, frozen, restore_freeze, unfreeze
from zoomgr.tune.groups import enter, param_groups
from zoomgr.tune.init import init, initialisers
from zoomgr.tune.plan import FinetunePlan, PlannedGroup, finetune_plan
from zoomgr.tune.pyramid import pyramid
from zoomgr.tune.stages import Stage, stages
from zoomgr.tune.state import Resumed, resume, save_checkpoint
from zoomgr.tune.stats import ActivationStats, LayerStats, activation_stats, lsuv
from zoomgr.tune.unfreezer import Unfreezer

__all__ = [
    "ActivationStats",
    "Advice",
    "Embeddings",
    "Features",
    "FinetunePlan",
    "Freezing",
    "Frozen",
    "LayerStats",
    "PlannedGroup",
    "Resumed",
    "Stage",
    "Unfreezer",
    "activation_stats",
    "advise",
    "cut",
    "embeddings",
    "enter",
    "features",
    "finetune_plan",
    "freeze",
    "freeze_state",
    "frozen",
    "init",
    "initialisers",
    "lsuv",
    "param_groups",
    "pyramid",
    "restore_freeze",
    "resume",
    "save_checkpoint",
    "stages",
    "unfreeze",
]
