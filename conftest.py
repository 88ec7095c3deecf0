"""What the tests of both distributions share."""

import os

import pytest
from hypothesis import settings

# Workers run beside each other, one on each core: set before torch is loaded, it reaches the
# processes that tests start too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# beside other work any example may take long
settings.register_profile("tans", deadline=None)
settings.load_profile("tans")

pytest_plugins = [
    "tests.small_zoo",
    "tests.stub_hub",
    "tests.networks.plain",
    "tests.reliability.counting",
    "tests.reliability.whole_zoo",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file that builds the zoos that many share comes first, those that wait for them last."""
    needs: dict[object, set[str]] = {}
    for item in items:
        needs.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))
    builder = next((path for path, names in needs.items() if "measured_zoo" in names), None)
    items.sort(key=lambda item: (item.path != builder, "small_zoo" in needs[item.path]))
