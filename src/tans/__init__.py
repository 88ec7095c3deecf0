"""tans: find the best pretrained network, architecture and weights, for a labelled image dataset.

    task = tans.Task.from_folder("images/")
    zoo = tans.Zoo.open()
    matches = tans.search(task, zoo, max_params=3e6)
    network = zoo.load(matches[0].id, classes=len(task.classes))
    tans.finetune_best(task, zoo).save("tuned/")
    predictions = tans.predict_files("tuned/", ["image.png"])

    tans.TansClassifier(max_params=3e6).fit(images, labels)  # an estimator of scikit-learn

Names are imported at first use, so that ``import tans`` costs nothing.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from tans.imports import lazily

# before PyTorch is imported: what Apple's processor does not know is left to the other one, and
# threads that wait for each other soon sleep, as beside other work those that spin hold it up
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
SPINS = "10000"
"""How often a thread of GNU's OpenMP asks whether it may go on, before it sleeps."""
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)

if TYPE_CHECKING:
    from tans.build.adding import Added, add_network
    from tans.build.engine import build_zoo
    from tans.errors import TansError
    from tans.estimator import TansClassifier
    from tans.export.card import ModelCard
    from tans.export.classifier import Classifier, Prediction
    from tans.export.finetuned import load_finetuned, predict_files, save_finetuned
    from tans.export.formats import Export, export_network
    from tans.meta.train import meta_train
    from tans.networks.incoming.incoming import Stated
    from tans.report import Run, write_check, write_report
    from tans.search import Look, Query, SearchResult, embed, search
    from tans.tasks.findings import Findings, Overrides
    from tans.tasks.task import Task, TaskCard
    from tans.training import FineTuned, Recipe, finetune
    from tans.types import Architecture, Constraints, Match, ZooEntry
    from tans.workflow import (
        FinetuneResult,
        Selection,
        finetune_best,
        finetune_entry,
        finetune_from,
    )
    from tans.zoo.verify import verify_zoo
    from tans.zoo.zoo import Zoo

__version__ = "0.1.0"

__all__ = [
    "Added",
    "Architecture",
    "Classifier",
    "Constraints",
    "Export",
    "Findings",
    "FineTuned",
    "FinetuneResult",
    "Look",
    "Match",
    "ModelCard",
    "Overrides",
    "Prediction",
    "Query",
    "Recipe",
    "Run",
    "SearchResult",
    "Selection",
    "Stated",
    "TansClassifier",
    "TansError",
    "Task",
    "TaskCard",
    "Zoo",
    "ZooEntry",
    "__version__",
    "add_network",
    "build_zoo",
    "embed",
    "export_network",
    "finetune",
    "finetune_best",
    "finetune_entry",
    "finetune_from",
    "load_finetuned",
    "meta_train",
    "predict_files",
    "save_finetuned",
    "search",
    "verify_zoo",
    "write_check",
    "write_report",
]

_HOMES = {
    "Added": "tans.build.adding",
    "Architecture": "tans.types",
    "Classifier": "tans.export.classifier",
    "Constraints": "tans.types",
    "Export": "tans.export.formats",
    "FineTuned": "tans.training",
    "FinetuneResult": "tans.workflow",
    "Findings": "tans.tasks.findings",
    "Look": "tans.search",
    "Match": "tans.types",
    "ModelCard": "tans.export.card",
    "Overrides": "tans.tasks.findings",
    "Prediction": "tans.export.classifier",
    "Query": "tans.search",
    "Recipe": "tans.training",
    "Run": "tans.report",
    "SearchResult": "tans.search",
    "Selection": "tans.workflow",
    "Stated": "tans.networks.incoming.incoming",
    "TansClassifier": "tans.estimator",
    "TansError": "tans.errors",
    "Task": "tans.tasks.task",
    "TaskCard": "tans.tasks.task",
    "Zoo": "tans.zoo.zoo",
    "ZooEntry": "tans.types",
    "add_network": "tans.build.adding",
    "build_zoo": "tans.build.engine",
    "embed": "tans.search",
    "export_network": "tans.export.formats",
    "finetune": "tans.training",
    "finetune_best": "tans.workflow",
    "finetune_entry": "tans.workflow",
    "finetune_from": "tans.workflow",
    "load_finetuned": "tans.export.finetuned",
    "meta_train": "tans.meta.train",
    "predict_files": "tans.export.finetuned",
    "save_finetuned": "tans.export.finetuned",
    "search": "tans.search",
    "verify_zoo": "tans.zoo.verify",
    "write_check": "tans.report",
    "write_report": "tans.report",
}
"""The module in which each public name lives."""


__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``tans.search`` the function when the module of that name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
