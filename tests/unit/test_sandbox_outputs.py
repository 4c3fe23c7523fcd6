"""When an output is the same as the expected one: values after JSON, and printed text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.graders.sandbox_outputs import same_text, same_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_every_value_is_the_same_as_itself_after_json(value: Any) -> None:
    finite = json.dumps(value)
    if "Infinity" not in finite:
        assert same_value(json.loads(finite), value, 0)


@given(JSON, JSON)
def test_comparing_never_raises_and_knows_different_values(left: Any, right: Any) -> None:
    assert same_value(left, right, 0) <= (left == right)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        (1, True, False), (True, 1, False), (3.0, 3, True), (3.0000001, 3, False),
        (3, 3.0, True), (3.0000001, 3.0, True), (2_000_001.0, 2e6, True), (2_000_003.0, 2e6, False),
        ([1, 2], (1, 2), True), ([1], [1, 1], False), ("1", 1, False), (None, 0, False),
        (10**400, 1.0, False), (float("nan"), 1.0, False), (float("inf"), 1.0, False),
        ({"a": 1.0}, {"a": 1.0000001}, True), ({"a": 1}, {"b": 1}, False),
    ],
)  # fmt: skip
def test_tolerance_is_for_expected_floats_only(got: Any, expected: Any, same: bool) -> None:
    assert same_value(got, expected, 1e-6) is same


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        ("1 2  \n3\n\n", "1 2\n3", True), ("1 2 3", "1 2\n3", False), ("1  2", "1 2", True),
        ("0.3333333", "0.333333333", True), ("0.34", "0.33", False), ("7.0", "7", False),
        ("nan", "1.5", False), ("x", "1.5", False), ("", "", True), ("e", "ee", False),
    ],
)  # fmt: skip
def test_printed_text_is_compared_line_by_line(got: str, expected: str, same: bool) -> None:
    assert same_text(got, expected, 1e-6) is same
