"""Retrieve the best stored networks for a task within limits."""

from tans.search.look import Look
from tans.search.query import Query, embed
from tans.search.ranking import SearchResult, search

__all__ = ["Look", "Query", "SearchResult", "embed", "search"]
