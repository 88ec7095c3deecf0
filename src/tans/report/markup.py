"""HTML that cannot be broken by the names in it: text is escaped unless it is markup already.

Characters that are not seen, or that turn the direction of writing, become escapes too.
"""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image
from torch import Tensor

from tans.errors import visible

VOID = frozenset({"img", "input", "meta"})


class Html(str):
    """Markup, as opposed to text that has yet to be escaped."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element; ``class_="a"`` gives ``class="a"``, ``view_box`` gives ``view-box``."""
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    opening = f"<{name}{''.join(pairs)}>"
    return Html(opening if name in VOID else f"{opening}{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """Markup as it is, and all else as escaped text, one after another."""
    return Html("".join(c if isinstance(c, Html) else _escaped(c) for c in children))


def picture(images: Tensor, columns: int, alt: str, **attributes: object) -> Html:
    """Images, uint8 (n, 3, s, s), as one embedded sheet of that many columns."""
    side, rows = images.shape[-1], -(-len(images) // columns)
    sheet = images.new_full((rows * columns, 3, side, side), 255)
    sheet[: len(images)] = images
    tiled = sheet.view(rows, columns, 3, side, side).permute(0, 3, 1, 4, 2)
    pixels = tiled.reshape(rows * side, columns * side, 3)  # (height, width, 3)
    file = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(file, "WEBP", quality=85, method=4)
    data = base64.b64encode(file.getvalue()).decode()
    size = {"width": columns * side, "height": rows * side}
    return tag("img", src=f"data:image/webp;base64,{data}", alt=alt, **size, **attributes)


def _escaped(value: object) -> str:
    return escape(visible(str(value)))
