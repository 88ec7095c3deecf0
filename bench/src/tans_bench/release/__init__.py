"""The release that the authors of TANS publish: read, imported, and asked by its queries."""

from tans_bench.release.asking import ask, judge
from tans_bench.release.importing import Imported, import_release

__all__ = ["Imported", "ask", "import_release", "judge"]
