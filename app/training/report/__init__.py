"""The report of a training: one page for people, and the same facts for programs.

Kept with the version that was trained, and as immutable. No server imports this package.
"""

from app.training.report.evidence import Document, Subject, gather
from app.training.report.page import Report, make_report

__all__ = ["Document", "Report", "Subject", "gather", "make_report"]
