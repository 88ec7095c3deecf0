"""What the tests of both distributions share."""

import os

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
