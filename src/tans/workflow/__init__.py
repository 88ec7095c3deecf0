"""What a user does, start to end: search, fine-tune, save, report; build, copy or train a zoo.

The command line, a page and Python call this. Progress and questions are callbacks.
"""

from tans.build.settings import BuildSettings
from tans.meta.presets import MetaSettings
from tans.search import Terms
from tans.workflow.choosing import (
    COMBINATIONS,
    TOP,
    Selection,
    expected_curve,
    find_network,
    search_beyond,
    search_within,
)
from tans.workflow.finetuning import finetune_best, finetune_entry, finetune_from
from tans.workflow.results import (
    BEST_MATCH,
    COMBINED,
    GONE_ON,
    REPORT,
    Change,
    FinetuneResult,
    FinetuneStep,
    check_folder,
    output_warnings,
    reserved,
)
from tans.workflow.zoos import (
    Trained,
    build,
    choose_pairs,
    copy_zoo,
    find_base,
    gather_crew,
    read_tasks,
    train,
    verify,
)
from tans.zoo.building import Site, worked_on

__all__ = [
    "BEST_MATCH",
    "COMBINATIONS",
    "COMBINED",
    "GONE_ON",
    "REPORT",
    "TOP",
    "BuildSettings",
    "Change",
    "FinetuneResult",
    "FinetuneStep",
    "MetaSettings",
    "Selection",
    "Site",
    "Terms",
    "Trained",
    "build",
    "check_folder",
    "choose_pairs",
    "copy_zoo",
    "expected_curve",
    "find_base",
    "find_network",
    "finetune_best",
    "finetune_entry",
    "finetune_from",
    "gather_crew",
    "output_warnings",
    "read_tasks",
    "reserved",
    "search_beyond",
    "search_within",
    "train",
    "verify",
    "worked_on",
]
