"""What an export wrote, and how it was checked."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tans.cli import console

if TYPE_CHECKING:
    from tans.export.formats import Checked, Export


def show_export(export: Export) -> None:
    """What was written, and how it does."""
    rows = [
        (
            each.file.name,
            f"{each.bytes:,}",
            f"{each.difference:.1e}",
            console.percent(each.agreement),
            *([] if each.accuracy is None else [console.percent(each.accuracy)]),
        )
        for each in (export.network, export.int8)
        if each is not None
    ]
    columns = ("file", ">bytes", ">largest difference of a probability", ">same label", ">accuracy")
    title = f"Beside PyTorch, over {export.images}"
    console.show_table(title, columns[: len(rows[0])], rows)
    console.say(f"Wrote {', '.join(map(str, export.files))}")
    if export.format == "onnx":
        (script,) = (path for path in export.files if path.suffix == ".py")
        console.say(f"Next: python {shlex.quote(str(script))} IMAGES")


def describe_export(export: Export) -> dict[str, Any]:
    """An export as JSON has it."""

    def plain(checked: Checked | None) -> dict[str, Any] | None:
        return None if checked is None else {**asdict(checked), "file": str(checked.file)}

    return {
        **{"format": export.format, "files": [str(path) for path in export.files]},
        **{"images": export.images, "network": plain(export.network), "int8": plain(export.int8)},
        "warnings": list(export.warnings),
    }
