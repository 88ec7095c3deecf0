"""What requests and answers say, as the description of the service has it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tans.licences import LicenceChain
from tans.search import Look, SearchResult
from tans.training import Epoch
from tans.types import Constraints, Match, ZooEntry

ID = Annotated[str, Field(examples=["q1Zr0b9o0u0wY6mFh3b1nA"], max_length=64)]
Share = Annotated[float, Field(ge=0, le=1)]
MOST_MATCHES = 1000
QUERY: dict[str, Any] = {
    "schema": 1,
    "retriever": "0" * 64,
    "embedding": [0.6, 0.8],
    "classes": [[10, 2, 2], [9, 2, 3]],
    "groups": 19,
}


class Problem(BaseModel):
    """Why a request was not done."""

    error: str = Field(examples=["not found"])
    """In a word or two."""
    detail: str = Field(examples=["no dataset of that id is held; upload it again"])
    """In a sentence, with what to do."""


class Health(BaseModel):
    """That the service is there, and what it searches."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])
    networks: int = Field(examples=[2425])
    retriever: str | None = Field(examples=["0" * 64])
    """Digest of what embeds images, as a query names it; null where the zoo has none."""


class LimitsAsked(BaseModel):
    """What a network may need."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    max_params: float | None = Field(None, gt=0, examples=[3e6])
    """Parameters, with a head for the classes."""
    max_flops: float | None = Field(None, gt=0, examples=[3e7])
    """Multiply-adds for one image."""
    max_latency_ms: float | None = Field(None, gt=0, examples=[20])
    """Milliseconds for one image on the device of the service."""
    max_minutes: float | None = Field(None, gt=0, examples=[5])
    """Minutes of a fine-tune on the device of the service."""
    commercial: bool = False
    """Leave out networks whose licences do not all allow commercial use."""
    look: int = Field(5, ge=0, le=16)
    """Sources that get a second look, on the images; 0 ranks by embeddings alone."""

    def constraints(self) -> Constraints:
        """In the form that a search takes."""
        return Constraints(self.max_params, self.max_flops, self.max_latency_ms, self.max_minutes)


class SearchAsked(LimitsAsked):
    """A search for a dataset that was uploaded, or for a query that ``tans embed`` wrote."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": QUERY, "max_params": 3e6, "top": 5}]}
    )

    dataset: ID | None = None
    query: dict[str, Any] | None = Field(None, examples=[QUERY])
    top: int = Field(10, ge=1, le=MOST_MATCHES)
    """Matches, at most."""


class FinetuneAsked(LimitsAsked):
    """A fine-tune of the best match within limits, or of a network that is named."""

    dataset: ID
    network: str | None = Field(None, max_length=300, examples=["imagenet"])
    """Id of a network of the zoo; null searches for one."""
    epochs: int | None = Field(None, ge=1, examples=[3])
    """As many as the recipe says when null."""
    seed: int = Field(0, ge=0, lt=2**31)


class ClassCounts(BaseModel):
    """Images of a class in each split."""

    name: str
    train: int
    val: int
    test: int


class Sample(BaseModel):
    """A picture that can be looked at: ``GET /datasets/{id}/images/{index}``."""

    index: int
    class_name: str


class DatasetAnswer(BaseModel):
    """What was understood of a dataset."""

    id: ID
    name: str = Field(examples=["greek"])
    images: int = Field(examples=[640])
    classes: tuple[ClassCounts, ...]
    layout: str
    """What its folders were taken for."""
    warnings: tuple[str, ...]
    """What is odd about it, a sentence each."""
    samples: tuple[Sample, ...]
    expires: float
    """Seconds since 1970 when it is deleted, unless it is used before."""


class MatchAnswer(BaseModel):
    """A network that is proposed."""

    id: str
    task: str
    """That it was trained on."""
    params: int
    flops: int
    """Multiply-adds for one image."""
    resolution: int
    """Pixels a side of its input."""
    latency_ms: float | None
    """On the device of the service; null where it was not limited."""
    minutes: float | None
    """Of a fine-tune there; null likewise."""
    predicted_accuracy: float
    """After a fine-tune, in [0, 1]."""
    low: float | None
    """Lower end of the interval that holds it for nine tasks in ten; null without a look."""
    high: float | None
    similarity: float
    """Cosine of embeddings, in [-1, 1]."""
    licence: str
    """Of all that it came from, as one SPDX expression where there is one."""
    licences: LicenceChain
    commercial: bool
    """Whether all of them are known to allow commercial use."""

    @classmethod
    def of(cls, match: Match) -> MatchAnswer:
        """As a search proposes it."""
        chain = match.licences
        return cls(**vars(match), licence=str(chain), commercial=chain.commercial)

    def match(self) -> Match:
        """As a search proposed it."""
        own = {name: value for name, value in vars(self).items() if name in Match.__annotations__}
        return Match(**own)


class LookAnswer(BaseModel):
    """How a linear classifier on a network's frozen features did on the images."""

    id: str
    task: str
    resolution: int
    accuracy: float
    """In [0, 1]."""


class SearchAnswer(BaseModel):
    """Networks that fit, best first."""

    matches: tuple[MatchAnswer, ...]
    looks: tuple[LookAnswer, ...]
    related: bool | None
    """Whether a source is expected to beat ImageNet; null where that was not looked into."""
    epochs: int
    """Of the fine-tune that accuracies are predicted for."""
    shortened: int | None
    """Epochs that minutes are limited for, where nothing fits for as many as usual."""
    forbidden: int
    """Networks left out for their licences."""
    latency_error: float | None
    """Mean relative error of latencies; null where they were not limited."""
    embedding_s: float
    search_s: float
    look_s: float
    notes: tuple[str, ...] = ()
    """What is to be told of the search, a sentence each."""

    @classmethod
    def of(cls, found: SearchResult) -> SearchAnswer:
        """What a search found."""
        own = {name: getattr(found, name) for name in cls.model_fields}
        matches = tuple(map(MatchAnswer.of, found.matches))
        looks = tuple(LookAnswer.model_validate(look, from_attributes=True) for look in found.looks)
        return cls(**{**own, "matches": matches, "looks": looks})

    def result(self) -> SearchResult:
        """As a search found it."""
        own: dict[str, Any] = {**vars(self), "matches": tuple(m.match() for m in self.matches)}
        return SearchResult(**{**own, "looks": tuple(Look(**vars(look)) for look in self.looks)})


class EntryAnswer(BaseModel):
    """A network of the zoo."""

    id: str
    task: str
    """That it was trained on."""
    family: str
    architecture: str
    resolution: int
    body_params: int
    """Without a head."""
    body_flops: int
    accuracy: float | None
    """On its own task, in [0, 1]; null where it was not measured."""
    licence: str
    """Of all that it came from."""
    licences: LicenceChain
    commercial: bool
    has_weights: bool
    """Whether the service has them."""

    @classmethod
    def of(cls, entry: ZooEntry, chain: LicenceChain) -> EntryAnswer:
        """As a zoo has it."""
        return cls(
            id=entry.id,
            task=entry.task,
            family=entry.ref.family,
            architecture=entry.ref.name,
            resolution=entry.resolution,
            body_params=entry.body_params,
            body_flops=entry.body_flops,
            accuracy=entry.accuracy,
            licence=str(chain),
            licences=chain,
            commercial=chain.commercial,
            has_weights=entry.has_weights,
        )


class ZooAnswer(BaseModel):
    """A page of the zoo's networks, by id."""

    total: int
    """That fit what was asked."""
    offset: int
    entries: tuple[EntryAnswer, ...]


class SourceTask(BaseModel):
    """A task that networks of the zoo were trained on."""

    name: str
    classes: tuple[str, ...]
    family: str
    licence: str
    train_images: int
    has_images: bool
    """Whether ``GET /tasks/{name}/images`` shows some."""


class EpochAnswer(BaseModel):
    """What one pass over the training images gave."""

    epoch: int
    train_loss: float | None
    val_accuracy: float | None
    val_balanced: float | None
    """Mean recall of the classes, in [0, 1]."""
    seconds: float
    """Since training began."""

    @classmethod
    def of(cls, epoch: Epoch) -> EpochAnswer:
        """As training tells it; what is not a number becomes null."""
        said: dict[str, Any] = {k: v if v == v else None for k, v in vars(epoch).items()}
        return cls(**said)


class FileAnswer(BaseModel):
    """A file that a job left: ``GET /jobs/{id}/files/{name}``."""

    name: str = Field(examples=["model.safetensors"])
    bytes: int


class Outcome(BaseModel):
    """What came of a fine-tune."""

    network: str
    """Id of what it began from."""
    params: int
    flops: int
    best_epoch: int
    test_accuracy: float | None
    balanced_accuracy: float | None
    seconds: float
    warnings: tuple[str, ...] = ()


State = Literal["queued", "running", "done", "failed", "cancelled"]


class JobAnswer(BaseModel):
    """A fine-tune, and how far it is."""

    id: ID
    state: State
    dataset: str = Field(examples=["greek"])
    """Name of its dataset."""
    ahead: int | None = None
    """Jobs before it in the queue; null unless it waits there."""
    network: str | None = None
    """Id of the network that is fine-tuned; null until it is found."""
    epochs: int | None = None
    """That there will be, at most; null until training begins."""
    history: tuple[EpochAnswer, ...] = ()
    seconds_left: float | None = None
    """Of the training, about; null where that is not known yet."""
    error: str | None = None
    """Why it failed."""
    outcome: Outcome | None = None
    files: tuple[FileAnswer, ...] = ()
    created: float
    """Seconds since 1970; likewise ``ended`` and ``expires``, null before."""
    ended: float | None = None
    expires: float | None = None


class Ranked(BaseModel):
    """A class and its probability."""

    label: str
    probability: Share


class PredictAnswer(BaseModel):
    """What a fine-tuned network says of an image."""

    label: str | None
    """Null where the image is unlike all that the network learnt from."""
    known: bool | None
    """False there; null where that cannot be told."""
    ranked: tuple[Ranked, ...]
    """The likeliest classes first."""
