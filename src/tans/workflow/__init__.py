"""What a user does, start to end: search, fine-tune, save, report; build, copy or train a zoo.

The command line, a page and Python call this. Progress and questions are callbacks. Names are
imported at first use: a search needs nothing of what builds a zoo.
"""

from typing import TYPE_CHECKING

from tans.imports import lazily

if TYPE_CHECKING:
    from tans.build.settings import BuildSettings
    from tans.meta.presets import MetaSettings
    from tans.meta.published import published_retriever
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
    "published_retriever",
    "read_tasks",
    "reserved",
    "search_beyond",
    "search_within",
    "train",
    "verify",
    "worked_on",
]

_HOMES = {
    "BEST_MATCH": "tans.workflow.results",
    "BuildSettings": "tans.build.settings",
    "COMBINATIONS": "tans.workflow.choosing",
    "COMBINED": "tans.workflow.results",
    "Change": "tans.workflow.results",
    "FinetuneResult": "tans.workflow.results",
    "FinetuneStep": "tans.workflow.results",
    "GONE_ON": "tans.workflow.results",
    "MetaSettings": "tans.meta.presets",
    "REPORT": "tans.workflow.results",
    "Selection": "tans.workflow.choosing",
    "Site": "tans.zoo.building",
    "TOP": "tans.workflow.choosing",
    "Terms": "tans.search",
    "Trained": "tans.workflow.zoos",
    "build": "tans.workflow.zoos",
    "check_folder": "tans.workflow.results",
    "choose_pairs": "tans.workflow.zoos",
    "copy_zoo": "tans.workflow.zoos",
    "expected_curve": "tans.workflow.choosing",
    "find_base": "tans.workflow.zoos",
    "find_network": "tans.workflow.choosing",
    "finetune_best": "tans.workflow.finetuning",
    "finetune_entry": "tans.workflow.finetuning",
    "finetune_from": "tans.workflow.finetuning",
    "gather_crew": "tans.workflow.zoos",
    "output_warnings": "tans.workflow.results",
    "published_retriever": "tans.meta.published",
    "read_tasks": "tans.workflow.zoos",
    "reserved": "tans.workflow.results",
    "search_beyond": "tans.workflow.choosing",
    "search_within": "tans.workflow.choosing",
    "train": "tans.workflow.zoos",
    "verify": "tans.workflow.zoos",
    "worked_on": "tans.zoo.building",
}
"""The module in which each name lives."""

if not TYPE_CHECKING:  # or it would know any name
    __getattr__ = lazily(__name__, _HOMES)
