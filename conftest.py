"""Fixtures that the tests of both distributions share."""

pytest_plugins = ["tests.small_zoo"]
