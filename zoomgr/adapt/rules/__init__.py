"""Key schemas as data: which name of a checkpoint is which of a network (docs/keymaps.md, "Rules")."""

from zoomgr.adapt.rules.adapter import RulesAdapter
from zoomgr.adapt.rules.given import rules_given
from zoomgr.adapt.rules.read import Rule, Rules, read_rules

__all__ = ["Rule", "Rules", "RulesAdapter", "read_rules", "rules_given"]
