"""Stands in for `watched_worker.py` in a batch: says what a real one says, and hands out results made before.

The batch is a CSV file. ``STANDIN_RESULT`` is the folder with the result of every patient but "broken";
``STANDIN_KILLED`` makes the process die during that patient.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2] / "TokenUNetSegmentation")

from tokenunet.core.events import (  # noqa: E402
    ErrorEvent,
    Event,
    PatientEvent,
    ProgressEvent,
    ResultEvent,
)
from tokenunet.core.sequences import SEQUENCES  # noqa: E402

BROKEN = "broken has no scan that is T2."


def say(event: Event) -> None:
    print(event.to_json(), flush=True)


def main() -> int:
    _command, *arguments = sys.argv[3:]
    place = Path(arguments[arguments.index("--batch") + 1])
    output = Path(arguments[arguments.index("--output") + 1])
    patients = [line.split(",")[0] for line in place.read_text().splitlines()[1:]]
    result = Path(os.environ["STANDIN_RESULT"])
    volumes = json.loads((result / "run.json").read_text())["volumes_ml"]
    for number, patient in enumerate(patients):
        folder = output / patient
        if "--check" in arguments:
            scans = {name: f"{patient}/{name}.nii.gz" for name in SEQUENCES}
            broken = patient == "broken"
            event = PatientEvent(patient, "failed" if broken else "ready", str(folder), {} if broken else scans)
        elif (folder / "run.json").exists():
            event = PatientEvent(patient, "skipped", str(folder), volumes_ml=volumes, seconds=2.0)
        else:
            say(PatientEvent(patient, "running", str(folder)))
            if os.environ.get("STANDIN_KILLED") == patient:
                os.kill(os.getpid(), signal.SIGKILL)
            event = PatientEvent(patient, "failed", str(folder), message=BROKEN, hint="Name it.")
            if patient != "broken":
                shutil.copytree(result, folder)
                event = PatientEvent(
                    patient, "ok", str(folder), volumes_ml=volumes, seconds=2.0, expected_dice={"WT": 0.91}
                )
        say(event)
        say(ProgressEvent("predict", (number + 1) / len(patients), None))
    say(ResultEvent(str(output), {}))
    say(ErrorEvent("incomplete_batch", "1 of 3 patients failed.", ""))
    return 3


if __name__ == "__main__":
    sys.exit(main())
