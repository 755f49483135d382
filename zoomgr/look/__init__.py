"""Seeing what you have: how pictures are prepared, what the classes are called, what a model says."""
