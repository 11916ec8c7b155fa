"""Bytes to keys, keys to lines: tables, pieces, and arbitrary noise."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from itertools import pairwise

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.console.editor import Completion, History, LineEditor, Outcome
from agent.console.keys import CursorReport, Key, KeyReader
from agent.console.terminal import Terminal


def keys(data: bytes) -> list[object]:
    reader = KeyReader()
    return [*reader.feed(data), *reader.flush()]


@pytest.mark.parametrize(
    ("data", "pressed"),
    [
        (b"ab\r", ["a", "b", Key.ENTER]),
        (b"a\r\nb\nc\r", ["a", Key.ENTER, "b", Key.ENTER, "c", Key.ENTER]),
        (b"\x1b[A\x1bOB\x1b[C\x1b[D", [Key.UP, Key.DOWN, Key.RIGHT, Key.LEFT]),
        (b"\x1b[3~\x1b[5~\x1b[6~\x1b[H\x1b[4~", [Key.DELETE, Key.PAGE_UP, Key.PAGE_DOWN, Key.HOME, Key.END]),
        (b"\x1b[1;5C\x1b[1;5D\x1bb\x1bf", [Key.WORD_RIGHT, Key.WORD_LEFT, Key.WORD_LEFT, Key.WORD_RIGHT]),
        (b"\x1b[12;40R", [CursorReport(12, 40)]),
        (b"\x1b", [Key.ESCAPE]),
        (b"\x1b\x1b[A", [Key.ESCAPE, Key.UP]),
        (b"\x03\x04\x7f\x08\t", [Key.INTERRUPT, Key.END_OF_INPUT, Key.BACKSPACE, Key.BACKSPACE, Key.TAB]),
        ("é€".encode(), ["é", "€"]),
        (b"\x00\xff\xfea", ["a"]),
        (b"\x1b[99999999999~x", ["x"]),
    ],
)
def test_what_bytes_mean(data: bytes, pressed: list[object]) -> None:
    assert keys(data) == pressed


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_pieces_do_not_matter_and_noise_does_no_harm(data: bytes, cuts: list[int]) -> None:
    reader = KeyReader()
    places = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    found = [key for a, b in pairwise(places) for key in reader.feed(data[a:b])]
    assert [*found, *reader.flush()] == keys(data)
    assert all(isinstance(key, Key | CursorReport) or (len(key) == 1 and key.isprintable()) for key in found)


PRESSED = st.one_of(
    st.sampled_from([key for key in Key if key not in (Key.ENTER, Key.INTERRUPT, Key.END_OF_INPUT)]),
    st.sampled_from("abc xyz-"),
)


@given(st.lists(PRESSED, max_size=60), st.integers(20, 100))
def test_the_screen_shows_the_line_and_the_cursor(pressed: list[Key | str], width: int) -> None:
    """A terminal fed with what the editor draws shows the prompt, the part of the line in sight, and its cursor."""
    history = History()
    history.lines = ["status", "why 1", "x" * 150]
    editor = LineEditor("service> ", width, history=history, complete=lambda line: Completion(0, []))
    screen = pyte.Screen(width, 5)
    stream = pyte.Stream(screen)
    stream.feed(editor.start())
    for key in pressed:
        outcome, drawn = editor.press(key)
        assert outcome is Outcome.EDITING
        stream.feed(drawn.replace("\n", "\r\n"))
        assert 0 <= editor.cursor <= len(editor.line)
    if editor._searching is not None:
        return
    shown = screen.display[screen.cursor.y]
    assert shown.startswith("service> ")
    room = width - len("service> ") - 1
    piece = editor.line[editor._shift : editor._shift + room]
    assert shown[len("service> ") :].rstrip() == piece.rstrip()
    assert screen.cursor.x == len("service> ") + editor.cursor - editor._shift


@given(st.lists(st.one_of(st.sampled_from([*Key]), st.characters(min_codepoint=32, max_codepoint=0x3FF)), max_size=80))
def test_a_dumb_terminal_gets_no_escape(pressed: list[Key | str]) -> None:
    editor = LineEditor("> ", 80, ansi=False, history=History())
    drawn = editor.start()
    for key in pressed:
        drawn += editor.press(key)[1]
    assert "\x1b" not in drawn


def typed(editor: LineEditor, text: str) -> str:
    drawn = ""
    for key in KeyReader().feed(text.encode()):
        drawn += editor.press(key)[1]
    return drawn


def test_completion() -> None:
    words = ("state", "status")
    editor = LineEditor("> ", 80, complete=lambda line: Completion(0, [w for w in words if w.startswith(line)]))
    editor.start()
    typed(editor, "s\t")
    assert editor.line == "stat"
    assert "state   status" in typed(editor, "\t\t")
    typed(editor, "u\t")
    assert editor.line == "status "


def test_a_secret_is_never_drawn() -> None:
    editor = LineEditor("PIN: ", 80, mask="*")
    drawn = editor.start() + typed(editor, "402617\x7f\x1b[Dx\x1b[A")
    assert editor.line == "4026x1"
    assert not set("402617x") & set(drawn.replace("\x1b[1D", "").replace("\x1b[K", ""))


def test_history_and_search() -> None:
    history = History()
    for line in ("status", "why", "why", "faults history"):
        history.add(line)
    assert history.lines == ["status", "why", "faults history"]
    editor = LineEditor("> ", 80, history=history)
    typed(editor, "dra\x1b[A\x1b[A")
    assert editor.line == "why"
    typed(editor, "\x1b[B\x1b[B")
    assert editor.line == "dra"
    typed(editor, "\x12stat\x05")
    assert editor.line == "status"


def test_a_window_whose_size_the_kernel_does_not_know_has_the_size_its_cursor_tells() -> None:
    """A login on a serial line: the kernel says 0 by 0, the terminal at its other end knows better."""
    master, slave = os.openpty()
    terminal = Terminal(slave, slave, resizes=True)
    try:
        terminal.open()
        os.write(master, b"\x1b[1;2R" + b"\x1b[40;132R")
        terminal.probe()
        assert (terminal.abilities.columns, terminal.abilities.rows) == (132, 40)
        assert not terminal.resized()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        assert terminal.resized()
        assert (terminal.abilities.columns, terminal.abilities.rows) == (100, 30)
    finally:
        terminal.close()
        os.close(master)
        os.close(slave)
