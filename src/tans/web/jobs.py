"""Fine-tunes in a queue, each in a process of its own; what they leave is kept for a while.

Each has a folder, with ``job.json`` beside what it left. A service that starts again knows the jobs
that had ended. Those that had not have failed: their images are deleted by then.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, get_args

from tans.errors import ServiceError, TansError
from tans.files import Manifest, is_unfinished, read_file, write_file
from tans.web.apart import Bounds, CancelledError, run_apart
from tans.web.datasets import BUSY, NOT_FOUND, Held, new_id
from tans.web.schemas import EpochAnswer, FileAnswer, FinetuneAsked, JobAnswer, Outcome, State
from tans.web.settings import Limits
from tans.web.work import Upload, tune
from tans.zoo.zoo import Zoo

FILE, RESULT = "job.json", "result"
STOPPED = "the service was stopped before this was done; upload the images and start it again"
UNEXPECTED = "something went wrong in the service, which is no fault of yours; try again"
NEITHER = ("queued", "running")
"""States of jobs that have not ended."""
NETWORK, REPORT = "model.safetensors", "report.html"


class JobFile(Manifest):
    """What ``job.json`` says."""

    ERROR: ClassVar[type[TansError]] = TansError
    REMEDY = "start it again"

    job: JobAnswer


@dataclass
class Job:
    """A fine-tune."""

    folder: Path
    answer: JobAnswer
    dataset: str = ""
    """Id of its dataset."""
    upload: Upload | None = None
    """None once it has ended."""
    asked: dict[str, Any] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """The queue, those that run, and those that ended.

    Args:
        folder: for what they leave; made when missing, its owner's alone.
        tell: makes of an error what anyone may read.
    """

    def __init__(
        self,
        folder: Path,
        zoo: Zoo,
        limits: Limits,
        tell: Callable[[str], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._zoo, self._limits = folder, zoo, limits
        self._tell, self._clock = tell, clock
        self._changed = threading.Condition()
        self._queue: deque[Job] = deque()
        self._closing = False
        self._workers: list[threading.Thread] = []
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._jobs = {job.answer.id: job for job in map(self._found, folder.iterdir()) if job}

    def start(self) -> None:
        """Begin to work on what is queued."""
        for _ in range(self._limits.running):
            worker = threading.Thread(target=self._work, daemon=True)
            worker.start()
            self._workers.append(worker)

    def close(self) -> None:
        """End those that run; the next service tells of them as stopped."""
        with self._changed:
            self._closing = True
            for job in self._jobs.values():
                job.cancelled.set()
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def add(self, held: Held, asked: FinetuneAsked) -> JobAnswer:
        """Queue a fine-tune of a dataset.

        Raises:
            ServiceError: the queue is full, or the dataset has as many as it may.
        """
        self.sweep()
        id, dataset = new_id(), held.answer
        answer = JobAnswer(id=id, state="queued", dataset=dataset.name, created=self._clock())
        given = asked.model_dump(mode="json")
        job = Job(self._folder / id, answer, dataset.id, held.upload, given)
        with self._changed:
            self._check_room(dataset.id)
            job.folder.mkdir(mode=0o700)
            self._save(job)
            self._jobs[id] = job
            self._queue.append(job)
            self._changed.notify()
        return self.get(id)

    def get(self, id: str) -> JobAnswer:
        """How far a job is.

        Raises:
            ServiceError: there is none of that id.
        """
        self.sweep()
        with self._changed:
            job = self._known(id)
            ahead = self._queue.index(job) if job in self._queue else None
            done = job.answer.state == "done"
            files = tuple(
                FileAnswer(name=path.name, bytes=path.stat().st_size)
                for path in (_files(job.folder / RESULT) if done else ())
            )
            return job.answer.model_copy(update={"ahead": ahead, "files": files})

    def file(self, id: str, name: str) -> Path:
        """A file that a job left.

        Raises:
            ServiceError: there is no such job, or it left none of that name.
        """
        with self._changed:
            job = self._known(id)
        names = [] if job.answer.state != "done" else _files(job.folder / RESULT)
        found = {path.name: path for path in names}
        if name not in found:
            there = ", ".join(found) or f"none yet, as it is {job.answer.state}"
            raise ServiceError(f"the job has no file of that name; there are: {there}", NOT_FOUND)
        return found[name]

    def result(self, id: str) -> Path:
        """The folder of the network that a job made.

        Raises:
            ServiceError: there is no such job, or it made none.
        """
        return self.file(id, NETWORK).parent

    def end(self, id: str) -> JobAnswer:
        """Cancel a job that has not ended; delete one that has, and all it left.

        Raises:
            ServiceError: there is none of that id.
        """
        answer = self.get(id)
        with self._changed:
            job = self._known(id)
            job.cancelled.set()
            if job.answer.state == "running":  # the one that works on it sees it
                self._changed.wait_for(lambda: job.answer.state != "running" or self._closing)
                return job.answer
            if job in self._queue:
                self._queue.remove(job)
                return self._ended(job, "cancelled")
            del self._jobs[id]
        shutil.rmtree(job.folder, ignore_errors=True)
        return answer

    def end_of(self, dataset: str) -> None:
        """Cancel what has not ended of a dataset, before its images go."""
        with self._changed:
            ids = [id for id, job in self._jobs.items() if self._unfinished(job, dataset)]
        for id in ids:
            with suppress(ServiceError):  # it has ended by now
                self.end(id)

    def needs(self, dataset: str) -> bool:
        """Whether what has not ended learns from a dataset."""
        with self._changed:
            return any(self._unfinished(job, dataset) for job in self._jobs.values())

    def counts(self) -> dict[str, int]:
        """How many there are in each state."""
        with self._changed:
            states = [job.answer.state for job in self._jobs.values()]
        return {state: states.count(state) for state in get_args(State)}

    def sweep(self) -> None:
        """Delete what ended long ago."""
        now = self._clock()
        with self._changed:
            jobs = [j for j in self._jobs.values() if (j.answer.expires or now + 1) <= now]
            for job in jobs:
                del self._jobs[job.answer.id]
        for job in jobs:
            shutil.rmtree(job.folder, ignore_errors=True)

    def _check_room(self, dataset: str) -> None:
        own = sum(self._unfinished(job, dataset) for job in self._jobs.values())
        if own >= self._limits.each:
            raise ServiceError(
                f"{own} fine-tunes of this dataset wait or run, as many as may; cancel one, or "
                "wait until one has ended",
                BUSY,
            )
        if len(self._queue) >= self._limits.queued:
            raise ServiceError(
                f"{len(self._queue)} fine-tunes wait, as many as may; try again later", BUSY
            )

    def _known(self, id: str) -> Job:
        if id not in self._jobs:
            raise ServiceError("there is no job of that id; it may have expired", NOT_FOUND)
        return self._jobs[id]

    def _unfinished(self, job: Job, dataset: str) -> bool:
        return job.dataset == dataset and job.answer.state in NEITHER

    def _found(self, folder: Path) -> Job | None:
        """A job of a service before; None where nothing can be said of it, and then it goes."""
        try:
            answer = JobFile.parse(read_file(folder / FILE), "the job").job
        except (OSError, TansError):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        job = Job(folder, answer)
        if answer.state in NEITHER:
            shutil.rmtree(folder / RESULT, ignore_errors=True)
            self._ended(job, "failed", error=STOPPED)
        return job

    def _work(self) -> None:
        """Do one job after another, until the service ends."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if self._closing:
                    return
                job = self._queue.popleft()
                self._change(job, state="running")
                self._save(job)
            self._tune(job)

    def _tune(self, job: Job) -> None:
        bounds = Bounds(self._limits.job_s, self._limits.memory_bytes, job.cancelled)
        given = (job.upload, self._zoo, job.asked, job.folder / RESULT)
        try:
            found = run_apart(tune, *given, bounds=bounds, on_told=lambda t: self._tell_of(job, t))
            self._ended(job, "done", outcome=self._read(found))
        except CancelledError:
            if not self._closing:
                self._ended(job, "cancelled")
        except ServiceError as error:
            self._ended(job, "failed", error=self._tell(str(error)))
        except Exception:
            self._ended(job, "failed", error=UNEXPECTED)
            raise

    def _read(self, found: dict[str, Any]) -> Outcome:
        outcome = Outcome(**found)
        told = tuple(map(self._tell, outcome.warnings))
        return outcome.model_copy(update={"warnings": told})

    def _tell_of(self, job: Job, told: dict[str, Any]) -> None:
        """Note how far a job is."""
        epoch = told.pop("epoch")
        with self._changed:
            before = job.answer.history if epoch else ()
            history = (*before, EpochAnswer(**epoch)) if epoch else ()
            self._change(job, **told, history=history)

    def _ended(self, job: Job, state: State, **more: Any) -> JobAnswer:
        now = self._clock()
        with self._changed:
            until = now + self._limits.keep_s
            self._change(job, state=state, ended=now, expires=until, seconds_left=None, **more)
            job.upload = None
            if state != "done":
                shutil.rmtree(job.folder / RESULT, ignore_errors=True)
            self._save(job)
            self._changed.notify_all()
            return job.answer

    def _change(self, job: Job, **fields: Any) -> None:
        job.answer = job.answer.model_copy(update=fields)

    def _save(self, job: Job) -> None:
        write_file(job.folder / FILE, JobFile(job=job.answer).to_bytes())


def _files(folder: Path) -> list[Path]:
    """Files of a result, by name."""
    return sorted(p for p in folder.iterdir() if p.is_file() and not is_unfinished(p))
