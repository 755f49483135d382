"""Seeing what you have: what a network is made of, how pictures are prepared, what a model says.

Everything that is named here takes any `nn.Module`, whoever built it.
"""

from zoomgr.look.summary import Row, Summary, summary

__all__ = ["Row", "Summary", "summary"]
