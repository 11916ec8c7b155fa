"""Texts in the technician's language: gettext catalogues, with values put in after translation."""

from __future__ import annotations

import gettext
from pathlib import Path
from typing import Any

LOCALE = Path(__file__).parents[1] / "locale"
DOMAIN = "evse-agent"
ENGLISH = "en"
BEYOND_LATIN = frozenset({"ar", "el", "he", "hi"})
"""Languages whose letters no plain terminal has; the others lose no more than their accents."""


def N_(text: str) -> str:  # noqa: N802 (gettext's own word)
    """Mark a text for the catalogues that is translated later, where it is shown."""
    return text


class Texts:
    """One language. What its catalogue does not have is shown in English."""

    def __init__(self, language: str = ENGLISH) -> None:
        self.language = language if language in languages() else ENGLISH
        self._catalogue: gettext.NullTranslations = gettext.translation(DOMAIN, LOCALE, [self.language], fallback=True)

    def text(self, text: str, **values: Any) -> str:
        """Translate, then put values in (``{name}``)."""
        translated = self._catalogue.gettext(text) if text else ""
        if not values:
            return translated
        try:
            return translated.format(**values)
        except (KeyError, IndexError, ValueError):  # a broken catalogue must not hide the message
            return text.format(**values)


def fitting(texts: Texts, unicode: bool) -> Texts:
    """Return texts that the terminal can show: English, where the language's own letters do not exist on it."""
    return texts if unicode or texts.language not in BEYOND_LATIN else Texts(ENGLISH)


def languages() -> list[str]:
    """Return the languages there are, English first."""
    found = sorted(path.parent.parent.name for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return [ENGLISH, *(each for each in found if each != ENGLISH)]
