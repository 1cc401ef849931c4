"""Detection of contrast agent in names, descriptions and tags, in several languages."""

import re

from tokenunet.core.contrast_words import AGENT, WITHOUT, latin
from tokenunet.study.dicom_tags import DicomTags

_TREATMENT = (
    r"(fossa|op|surg|resect|crani|biops|rt\b|xrt|crt|rad(?!iant)|irrad|chemo|tmz|t?r?x\b|treat|therap|gamma|gk\b|srs|ictal"
    r"|lesion|mortem)"
)
"""Words after "pre" and "post" that show that these do not refer to contrast agent."""
_NO_AGENT = re.compile(
    r"\b(pre(?!s| ?-?"
    + _TREATMENT
    + rf")|(?!pre)(?:{WITHOUT})|w/o|nativ\w*|nc|s/ ?c\w*|plain|blanco|basale|[ck]ontrast(siz|frei))\b"
    r"|\b(iv|gd|km|ce|c) ?-(?![ \w])"
)
_AGENT = re.compile(
    rf"\b(t1)?({AGENT})\b|\+ ?(c|gd|gad\w*|km|ce|kb)\b|\bc ?\+|\biv ?\+|t1w? ?-?c\b|t1w?gd\b|\bgd-\w"
    r"|\b(ce|gd)-?t1|\bt1w?post\b"
    r"|\bpost\b(?! ?-?" + _TREATMENT + r")|\bpos\b|\benh\w*|\binj\w*|\bnach\b|\bapres\b|\bdopo\b|\bw/? ?c\b|\bc/ ?c\b"
)
_NEGATED_AGENT = re.compile(f"(?:{_NO_AGENT.pattern})[ -]?(?:iv |i v )?(?:{_AGENT.pattern})")
_WITH_AND_WITHOUT = re.compile(
    r"\bw(ith)?[ /&+]*(and)?[ /&+]*w(ithout|/?o)\b|\bw(ithout|/?o)[ /&+]*(and)?[ /&+]*w(ith)?\b"
)
_OF_SOMETHING_ELSE = re.compile(
    r"\b(no|non|not|w/?o|without|ohne|sans|sin)[ -]?(fs|fat\w*|sat\w*|mt\w*|flow ?comp\w*)\b( ?sat\w*)?"
    r"|\bpre[ -]?(surg\w*|rad\w*|rt|gamma\w*|tx|treat\w*)\b"
)
"""Words of `_NO_AGENT` that refer to fat saturation, magnetization transfer or a later treatment."""
_NO_AGENT_NAMED = {"", "no", "none", "n", "0", "nein", "n/a", "no contrast", "without", "ohne"}
"""Values of the agent's tag that mean none."""


def agent_in(text: str) -> bool | None:
    """Return whether a text says that contrast agent was given; None if it does not say so, or says both.

    Args:
        text: Name or description of a scan.
    """
    text = _OF_SOMETHING_ELSE.sub(" ", plain_words(text))
    if _WITH_AND_WITHOUT.search(text):
        return None
    rest, negated = _NEGATED_AGENT.subn(" ", text)
    rest, none = _NO_AGENT.subn(" ", rest)
    given, not_given = _AGENT.search(rest) is not None, negated + none > 0
    return None if given == not_given else given


def agent_of(tags: DicomTags, texts: list[str]) -> tuple[bool | None, str, bool]:
    """Return whether contrast agent was given, by tags and texts.

    Args:
        tags: DICOM tags of the series.
        texts: Description and protocol of the series, as far as it has them.

    Returns:
        Whether agent was given, or None if unknown; the reason; and whether the texts say so, not the tag alone.
    """
    agent = tags.contrast_agent.strip()
    tagged = agent.lower() not in _NO_AGENT_NAMED and not _NO_AGENT.search(agent.lower())
    for text in texts:
        said = agent_in(text)
        of_the_series = text == texts[0] or said  # the protocol may be that of the whole examination
        if said is not None and (of_the_series or not tagged):
            return said, f"its description speaks of {'a' if said else 'no'} contrast agent", True
    return (True, f"contrast agent was given ({agent})", False) if tagged else (None, "", False)


def plain_words(text: str) -> str:
    """Return a text in lower case and Latin letters, with spaces in place of punctuation."""
    return re.sub(r"[_\s.,:;()\[\]]+", " ", latin(text))
