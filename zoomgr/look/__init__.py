"""Seeing what you have: what a network is made of, what a load does to it, what it says of pictures.

`summary` takes any `nn.Module`, whoever built it.
"""

from zoomgr.look.page import plan_page, save_page
from zoomgr.look.summary import Row, Summary, summary

__all__ = ["Row", "Summary", "plan_page", "save_page", "summary"]
