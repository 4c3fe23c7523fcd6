"""What a person watches."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest
from rich.console import Console

from tailor_rl.screen import LiveScreen, Pace, PlainScreen, duration, make_screen, sparkline
from tests.sample_run import evaluation


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drawn(screen: LiveScreen, *, width: int = 80) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(screen.render())
    return text.getvalue()


def test_progress_lines_come_at_most_every_five_seconds_and_once_at_the_end() -> None:
    clock, file = Clock(), io.StringIO()
    screen = PlainScreen(file, clock=clock)
    screen.stage("attempt")
    for done in range(1, 1001):
        clock.now += 0.02  # 20 seconds in all
        screen.progress(done, 1000, "")
    for _ in range(50):
        screen.progress(1000, 1000, "")
    lines = [line for line in file.getvalue().splitlines() if "/1000" in line]
    assert 4 <= len(lines) <= 6
    assert sum("1000/1000" in line for line in lines) == 1


def test_each_rl_step_and_each_evaluation_is_one_line() -> None:
    clock, file = Clock(), io.StringIO()
    screen = PlainScreen(file, clock=clock)
    screen.stage("rl")
    for step in range(1, 21):
        screen.metrics("rl", step, {"reward": 0.5, "entropy": 0.2, "spent_tokens": 9, "lag": 1})
        screen.evaluation(evaluation("rl", "validation", 0.5, step=step))
    lines = file.getvalue().splitlines()
    assert sum("rl step" in line for line in lines) == 20
    assert sum("after RL, step" in line for line in lines) == 20
    assert "rl step 1: reward 0.5  entropy 0.2  lag 1" in file.getvalue()


def test_sft_steps_are_thinned_out() -> None:
    clock, file = Clock(), io.StringIO()
    screen = PlainScreen(file, clock=clock)
    screen.stage("sft")
    for step in range(1, 101):
        clock.now += 0.1
        screen.metrics("sft", step, {"loss": 1.5})
    assert 2 <= file.getvalue().count("loss 1.5") <= 3


def test_time_left_counts_from_the_first_report_so_a_resumed_stage_is_not_flattered() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.left_s(50, 100) is None
    clock.now = 10.0
    assert pace.left_s(60, 100) == pytest.approx(40.0)
    assert pace.left_s(100, 100) == 0.0
    assert [duration(s) for s in (42, 185, 7380)] == ["42 s", "3:05 min", "2:03 h"]


def test_control_characters_and_line_breaks_never_reach_the_log() -> None:
    file = io.StringIO()
    screen = PlainScreen(file)
    screen.log("a\x1b[2J\x07b\nc\u202e")
    screen.stage("x\ny")
    screen.progress(1, 2, "n\x1b[0m\x00ote")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", file.getvalue())
    assert [line[10:] for line in file.getvalue().splitlines()] == [
        "ab c",
        "== x y",
        "x y 1/2 (50 %), note",
    ]


def test_an_ascii_log_gets_every_line() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    PlainScreen(file).log("naïve → ok")
    assert raw.getvalue().endswith(b"na\\xefve \\u2192 ok\n")


def test_a_reader_that_goes_away_does_not_stop_the_run() -> None:
    class Gone(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            Gone.writes += 1
            raise BrokenPipeError

    screen = PlainScreen(Gone())
    screen.log("a")
    screen.log("b")
    assert Gone.writes == 1


def test_lines_of_many_threads_stay_whole() -> None:
    file = io.StringIO()
    screen = PlainScreen(file)

    def chatter(name: int) -> None:
        for i in range(200):
            screen.log(f"thread {name} line {i} end")

    threads = [threading.Thread(target=chatter, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = file.getvalue().splitlines()
    assert len(lines) == 1600
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d  thread \d line \d+ end", line) for line in lines)


def test_the_live_screen_can_be_drawn_while_threads_write_to_it() -> None:
    screen = LiveScreen()
    errors: list[BaseException] = []
    stop = threading.Event()

    def draw() -> None:
        try:
            while not stop.is_set():
                drawn(screen)
        except BaseException as error:
            errors.append(error)

    drawer = threading.Thread(target=draw)
    drawer.start()
    for i in range(300):
        screen.stage(f"stage {i // 100}")
        screen.progress(i, 300, "note")
        screen.metrics("rl", i, {"reward": i / 300})
        screen.evaluation(evaluation("rl", "validation", i / 300, step=i))
        screen.log(f"line {i}")
        if i % 50 == 0:
            time.sleep(0.01)
    stop.set()
    drawer.join()
    assert not errors
    assert "line 299" in drawn(screen)


def test_the_live_screen_shows_stages_bar_sparklines_and_last_lines() -> None:
    clock = Clock()
    screen = LiveScreen(clock=clock)
    screen.stage("sft")
    clock.now = 61.0
    screen.stage("rl")
    screen.progress(0, 10, "")
    clock.now = 71.0
    screen.progress(5, 10, "half")
    for reward in (0.0, 0.5, 1.0, float("nan")):
        screen.metrics("rl", 5, {"reward": reward, "informative": 0.6})
    screen.evaluation(evaluation("rl", "validation", 0.25, step=5))
    for i in range(20):
        screen.log(f"line {i}\x1b[2J")
    text = drawn(screen)
    assert re.search(r"✓ sft +1:01 min", text)
    assert re.search(r"▸ rl +10 s", text)
    assert "5/10 10 s left half" in text
    assert re.search("1.000 ▁▅█", text)
    assert "25.0%" in text
    assert "informative 0.6" in text
    assert "line 19" in text
    assert "line 14" not in text
    assert "\x1b" not in text


def test_a_stage_that_failed_is_not_ticked() -> None:
    screen = LiveScreen()
    screen.stage("attempt")
    screen.stage("rl")
    screen.close(failed=True)
    assert "✓ attempt" in drawn(screen)
    assert "✗ rl" in drawn(screen)


def test_no_terminal_means_plain_lines() -> None:
    file = io.StringIO()
    with make_screen(console=Console(file=file)) as screen:
        assert isinstance(screen, PlainScreen)
        screen.log("hello")
    assert file.getvalue().endswith("hello\n")


def test_a_terminal_gets_one_live_page_which_ends_with_the_last_state() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with make_screen(console=console) as screen:
        assert isinstance(screen, LiveScreen)
        screen.stage("attempt")
    assert "✓" in file.getvalue()


def test_a_dumb_terminal_gets_plain_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with make_screen(console=console) as screen:
        assert isinstance(screen, PlainScreen)


def test_an_error_passes_through_the_live_page_and_is_marked() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with pytest.raises(KeyError), make_screen(console=console) as screen:
        screen.stage("rl")
        raise KeyError
    assert "✗" in file.getvalue()


def test_a_sparkline_spans_its_values() -> None:
    assert sparkline([0.0, 1.0, 0.5]) == "▁█▅"
    assert sparkline([2.0, 2.0]) == "▄▄"
