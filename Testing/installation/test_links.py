"""Links and pictures of the Markdown files lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r'\]\(([^)\s]+)\)|src="([^"]+)"')


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    targets = ["".join(match) for match in LINK.findall(page.read_text(encoding="utf-8"))]
    local = {target.partition("#")[0] for target in targets if not re.match(r"\w+:", target)} - {""}
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130
