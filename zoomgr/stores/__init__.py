"""The one way to speak to stores that fsspec knows: clients with the environment's logins, faults as ours."""

from __future__ import annotations

from zoomgr.stores.client import new_client
from zoomgr.stores.faults import store_faults

__all__ = ["new_client", "store_faults"]
