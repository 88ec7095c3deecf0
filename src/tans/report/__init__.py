"""What was found, tried and measured, as one self-contained HTML page."""

from tans.report.page import write_check, write_report
from tans.report.runs import Run

__all__ = ["Run", "write_check", "write_report"]
