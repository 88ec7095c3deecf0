"""Results as JSON has them and as tables and sentences show them, by what they are of."""

from tans.cli.views import data, exports, finetune, predictions, search, zoos

__all__ = ["data", "exports", "finetune", "predictions", "search", "zoos"]
