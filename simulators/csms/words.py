"""The control words: text in, JSON out. The same words serve the control socket and ``evse-sim csms-ctl``."""

from __future__ import annotations

# Importing these modules registers their words.
from . import words_answers, words_asking, words_link
from .vocabulary import WORDS, WordError, run_word

__all__ = ["WORDS", "WordError", "run_word", "words_answers", "words_asking", "words_link"]
