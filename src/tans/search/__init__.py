"""Retrieve the best stored networks for a task within limits, and those that can be fetched."""

from tans.search.catalogue import Terms, search_catalogue
from tans.search.look import Look, Tried
from tans.search.ranking import SearchResult, search

__all__ = ["Look", "SearchResult", "Terms", "Tried", "search", "search_catalogue"]
