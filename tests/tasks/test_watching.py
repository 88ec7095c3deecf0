"""What is told of how far a reading is."""

from __future__ import annotations

from tans.tasks import stored as module
from tans.tasks.images import open_files
from tans.tasks.watching import READING, part_of, tell, watching
from tests.tasks.drawing import scene, store


def test_nobody_is_told_outside_of_the_block():
    heard = []
    with watching(lambda *told: heard.append(told)):
        tell("work", 1, 2)
    tell("work", 2, 2)
    assert heard == [("work", 1, 2)]


def test_parts_are_counted_into_the_whole():
    heard = []
    with watching(lambda *told: heard.append(told)):
        for begun in (0, 3):
            with part_of(6, begun):
                tell("work", 3, 3)
        tell("rest", 1, 1)
    assert heard == [("work", 3, 6), ("work", 6, 6), ("rest", 1, 1)]
    with part_of(6, 0):  # which nobody listens to
        tell("work", 3, 3)


def test_reading_is_told_up_to_the_last_image_in_memory_and_stored(tmp_path, monkeypatch):
    paths = [store(tmp_path / f"{index}.png", scene(index)) for index in range(70)]
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    for most in (2**30, 0):
        monkeypatch.setattr(module, "IN_MEMORY", most)
        monkeypatch.setattr(module, "BLOCK_BYTES", 30 * 3 * 64 * 64)
        heard = []
        with watching(lambda *told, heard=heard: heard.append(told)):
            open_files(paths)
        assert [what for what, *_ in heard] == [READING] * len(heard)
        assert [done for _, done, _ in heard] == ([64, 70] if most else [30, 60, 70])
        assert {total for *_, total in heard} == {70}
