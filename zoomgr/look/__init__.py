"""Seeing what you have: what a network is made of, what a load does to it, what it says of pictures.

All but the page of a plan takes any `nn.Module`, whoever built it.
"""

from zoomgr.look.activations import LayerMap, activations
from zoomgr.look.drawing import save_graph
from zoomgr.look.grad_cam import grad_cam
from zoomgr.look.graph import Graph, graph
from zoomgr.look.overlay import overlay
from zoomgr.look.page import plan_page, save_page
from zoomgr.look.preprocess import seen_box
from zoomgr.look.summary import Row, Summary, summary

__all__ = [
    "Graph",
    "LayerMap",
    "Row",
    "Summary",
    "activations",
    "grad_cam",
    "graph",
    "overlay",
    "plan_page",
    "save_graph",
    "save_page",
    "seen_box",
    "summary",
]
