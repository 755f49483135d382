"""A plugin whose library does not match: it fails while it is imported, and not with an ImportError."""

raise RuntimeError("operator acme::nms does not exist")
