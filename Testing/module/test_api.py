"""The list of Slicer's API that the modules use is up to date, and each name was found in Slicer's source."""

from host.api_used import TABLE, uses


def test_list_of_used_api_is_up_to_date() -> None:
    rows = {line.split("|")[1].strip().strip("`") for line in TABLE.read_text().splitlines() if line.startswith("| `")}
    assert {use.name for use in uses()} == rows, "run Testing/host/api_used.py"


def test_every_name_has_its_place_in_slicers_source() -> None:
    missing = [line for line in TABLE.read_text().splitlines() if "not found" in line]
    assert missing == []
