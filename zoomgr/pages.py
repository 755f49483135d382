"""Pages of HTML, in which no text of a checkpoint, a card or a user means anything but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoomgr.errors import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def templates_of(package: str) -> Environment:
    """What fills the templates in a package's folder `templates`.

    All text is escaped, and characters that steer a terminal or turn the direction of writing are shown as
    what they are; a name that a template does not have is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
