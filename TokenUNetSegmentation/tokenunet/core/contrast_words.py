"""Words for contrast agent in names and descriptions, in several languages, as regular expressions."""

import re
import unicodedata

AGENT = (
    r"ce|gd|gad\w*|km|mdc|[ck]ontr(?:a(?:st|sc)\w*)?(?<!siz)(?<!frei)|post(?:contrast|gd|gad\w*|km)|enh(?:anced?)?|inj(?:ect\w*)?|civ"
    r"|dotarem|dotagraf|clariscan|artirem|prohance|magnevist|multihance|omniscan|vueway|elucirem|eovist|primovist"
)
"""Words for contrast agent, its brands, and scans after it."""
WITHOUT = (
    r"without|wo|non?|not|un-?enh\w*|before|pre|ohne|vor|sin|sans|avant|sem|antes|senza|prima|zonder|utan|uten|uden|fore"
    r"|bez"
)
"""Words for scans without contrast agent or before it."""
_NON_LATIN = [
    (r"血管造影", " angio "),
    (r"造影(?:なし|無)|非造影|(?:造影|增强|增強)前|조영 ?(?:전|없\w*)|(?:без|до)[ _]контраст\w*", " native "),
    (r"单纯|単純|단순|平扫|平掃", " native "),
    (r"造影|增强|增強|조영|контраст\w*", " contrast "),
    (r"т(?=[12])", "t"),
    ("\u0131", "i"),
]
"""Patterns of other scripts and their replacements; more specific ones come first."""


def latin(text: str) -> str:
    """Return a text in lower case, without accents, and with words for contrast agent in Latin letters.

    Args:
        text: Name or description of a scan.

    Example:
        >>> latin("T1 après injection")
        't1 apres injection'
    """
    if text.isascii():
        return text.lower()
    letters = [c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c)]
    text = unicodedata.normalize("NFC", "".join(letters))
    for pattern, replacement in _NON_LATIN:
        text = re.sub(pattern, replacement, text)
    return text
