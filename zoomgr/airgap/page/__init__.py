"""The catalogue page of a mirror: `index.html` and a page for each model, for people and any web server.

names.py    under which file name a model has its page
shown.py    what the pages say of a model, pure
render.py   the pages, from templates/ and assets/
"""

from zoomgr.airgap.page.render import pages

__all__ = ["pages"]
