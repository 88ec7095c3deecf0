"""The page tells what the tests counted, and of every test."""

import ast

from tests.reliability.counting import PAGE, ROOT, render, stored_rows


def counting_tests() -> set[str]:
    return {
        f"{file.name}::{node.name}"
        for file in (ROOT / "tests/reliability").glob("test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and "trials" in {argument.arg for argument in node.args.args}
    }


def test_each_test_has_a_row_and_each_row_a_test() -> None:
    assert {row.test for row in stored_rows()} == counting_tests(), "run: make reliability"


def test_all_that_was_tried_was_clean() -> None:
    assert all(row.clean == row.tried > 0 for row in stored_rows())


def test_the_page_is_what_the_counts_say() -> None:
    assert PAGE.read_text() == render(stored_rows()), "run: make reliability"
