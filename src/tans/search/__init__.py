"""Retrieve the best stored networks for a task within limits, and those that can be fetched."""

from tans.search.catalogue import Terms, search_catalogue
from tans.search.look import Look, Tried
from tans.search.query import Query, embed
from tans.search.ranking import check_method, search
from tans.search.result import METHODS, OWN, PAPER, SearchResult

__all__ = [
    "METHODS",
    "OWN",
    "PAPER",
    "Look",
    "Query",
    "SearchResult",
    "Terms",
    "Tried",
    "check_method",
    "embed",
    "search",
    "search_catalogue",
]
