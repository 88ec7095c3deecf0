"""What is counted of a service, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

FORM = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Seconds."""


class Metrics:
    """Requests by route, answer and time; what is held, as it is now.

    Args:
        jobs: how many there are in each state.
        datasets: how many are held.
    """

    def __init__(self, jobs: Callable[[], dict[str, int]], datasets: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tans_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tans_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=BOUNDS,
            registry=self._registry,
        )
        held = Gauge("tans_datasets", "Datasets held.", registry=self._registry)
        held.set_function(datasets)
        self._registry.register(_Jobs(jobs))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)


class _Jobs:
    """Jobs by state, asked for when they are read."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """What Prometheus's library asks for."""
        family = GaugeMetricFamily("tans_jobs", "Fine-tunes in each state.", labels=["state"])
        for state, number in self._counts().items():
            family.add_metric([state], number)
        yield family
