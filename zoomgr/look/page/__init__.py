"""A load plan as one self-contained page, from templates/ and assets/."""

from zoomgr.look.page.render import check_page, plan_page, save_page

__all__ = ["check_page", "plan_page", "save_page"]
