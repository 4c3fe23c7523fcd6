"""Laws of several teachers in one service: who is asked, what it costs, what is sent to whom."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from actors.teacher_service import TeacherService
from tailor_rl.errors import ConfigError
from tailor_rl.protocols import TeacherReply
from tailor_rl.teachers.endpoints import Router
from tailor_rl.teachers.purchases import purchase_key
from tailor_rl.teachers.wire import request_body
from tests.teacher_server import TeacherServer, answer
from tests.teacher_service_fakes import REQUEST, endpoint, service

MANY = [replace(REQUEST, sample=i) for i in range(2000)]
SCHEMA = '{"type": "object", "properties": {"name": {"type": "string"}}}'


def shares(**shares: float) -> Router:
    return Router([endpoint("http://h/v1", name, share=share) for name, share in shares.items()])


def test_teachers_are_drawn_by_their_shares() -> None:
    route = shares(a=6, b=3, c=1, never=0)
    drawn = Counter(route(request).name for request in MANY)
    assert [drawn[name] / len(MANY) for name in ("a", "b", "c", "never")] == [
        pytest.approx(share, abs=0.03) for share in (0.6, 0.3, 0.1, 0)
    ]


def test_the_draw_is_the_same_in_every_process() -> None:
    route = shares(a=1, b=1)
    assert "".join(route(request).name for request in MANY[:16]) == "aaaaaababbabbaaa"


def test_equal_purchases_go_to_the_same_teacher() -> None:
    route = shares(a=1, b=1)
    for request in MANY[:50]:
        for same in (replace(request, purpose="judge"), replace(request, schema=SCHEMA)):
            assert route(same) is route(request)


def test_a_teacher_that_joins_moves_no_request_between_the_others() -> None:
    before, after = shares(a=2, b=1), shares(a=2, b=1, c=1)
    moved = [request for request in MANY if after(request).name != before(request).name]
    assert {after(request).name for request in moved} == {"c"}
    assert len(moved) / len(MANY) == pytest.approx(0.25, abs=0.03)


def test_a_request_that_names_its_teacher_goes_there_whatever_the_shares() -> None:
    route = shares(a=1, guard=0)
    assert route(replace(REQUEST, teacher="guard")).name == "guard"
    assert route(replace(REQUEST, teacher="a")).name == "a"


def test_an_unknown_teacher_is_named_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"'discover' names the teacher 'nobody'.*a, guard"):
        shares(a=1, guard=0)(replace(REQUEST, teacher="nobody"))


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b")])
def test_shares_of_zero_alone_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="share 0"):
        shares(**dict.fromkeys(names, 0.0))


def test_prices_are_for_a_million_tokens() -> None:
    reply = TeacherReply("t", "m", "stop", 2_000_000, 500_000, True)
    priced = endpoint("http://h/v1", price_prompt=0.5, price_completion=8.0)
    assert priced.cost(reply) == 0.5 * 2 + 8.0 * 0.5


def test_a_request_without_a_schema_is_what_it_has_always_been() -> None:
    """Recorded runs find their answers by this key, and the built-in teacher answers by the body:
    neither may ever change.
    """
    assert purchase_key("m", REQUEST) == (
        "00d00ac7232200de03ea4c3a5789cb6f42c1ecb7fc8fada5755d8fedca911fab"
    )
    assert json.dumps(request_body("m", REQUEST)) == (
        '{"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user",'
        ' "content": "p"}], "temperature": 0.5, "max_tokens": 9, "seed": 0}'
    )


async def test_a_schema_is_sent_to_the_teachers_that_take_one(tmp_path: Path) -> None:
    asked = replace(REQUEST, schema=SCHEMA)
    async with TeacherServer() as plain, TeacherServer() as structured:
        teachers = service(
            tmp_path / "book",
            endpoint(plain.base_url, "plain"),
            endpoint(structured.base_url, "structured", structured_output=True, model="n"),
        )
        for name in ("plain", "structured"):
            await teachers.complete(replace(asked, teacher=name))
        # Without the schema: the same question to the one, and another one to the other.
        for name, paid in (("plain", False), ("structured", True)):
            assert (await teachers.complete(replace(REQUEST, teacher=name))).paid is paid
        await teachers.aclose()
    assert "response_format" not in plain.requests[0].body
    assert structured.requests[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": json.loads(SCHEMA), "strict": True},
    }


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_refuses_the_schema_is_asked_without_it(
    tmp_path: Path, status: int
) -> None:
    words = b'{"error": "' + b"x" * 300 + b'this response_format is unavailable now"}'
    async with TeacherServer(answer(status, words)) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url, structured_output=True))
        for sample in range(2):
            await teacher.complete(replace(REQUEST, schema=SCHEMA, sample=sample))
        await teacher.aclose()
    sent = [("response_format" in seen.body, "seed" in seen.body) for seen in server.requests]
    assert sent == [(True, True), (False, True), (False, True)]


async def test_a_parameter_is_left_out_for_good_only_where_that_helped(tmp_path: Path) -> None:
    refusal = answer(400, b'{"error": "bad input", "input": {"seed": 0, "max_tokens": 9}}')
    async with TeacherServer(refusal, refusal) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        with pytest.raises(Exception, match="bad input"):
            await teacher.complete(REQUEST)
        await teacher.complete(replace(REQUEST, sample=1))
        await teacher.aclose()
    assert ["seed" in seen.body for seen in server.requests] == [True, False, True]


async def test_every_teacher_is_checked(tmp_path: Path) -> None:
    async with TeacherServer() as good, TeacherServer(answer(401), answer(401)) as bad:
        teachers = service(
            tmp_path / "book", endpoint(good.base_url), endpoint(bad.base_url, "second")
        )
        with pytest.raises(Exception, match=bad.base_url) as caught:
            await teachers.check()
        await teachers.aclose()
    assert getattr(caught.value, "exit_code", None) == 2


async def test_the_sentence_about_a_further_teacher_names_its_place_in_the_recipe(
    tmp_path: Path,
) -> None:
    with pytest.raises(Exception, match=r"teacher\.more\.second\.base_url is 'nowhere'"):
        service(tmp_path / "book", endpoint("http://h/v1"), endpoint("nowhere", "second"))


async def test_each_teacher_has_its_own_purchases_and_name(tmp_path: Path) -> None:
    async with TeacherServer() as first, TeacherServer() as second:

        def open_both() -> TeacherService:
            return service(
                tmp_path / "book",
                endpoint(first.base_url, "a", share=3),
                endpoint(second.base_url, "b", model="n", share=1),
            )

        for paid in (True, False):
            teachers = open_both()
            assert teachers.name == "m + n"
            replies = [await teachers.complete(request) for request in MANY[:40]]
            assert {reply.paid for reply in replies} == {paid}
            await teachers.aclose()
    assert len(first.requests) + len(second.requests) == 40
    assert 20 < len(first.requests) < 40
