"""What training costs, as a table for the README: ``python -m tokenunet.training.cost EXPERIMENT``."""

import argparse
import json
import platform
from pathlib import Path

import psutil

from tokenunet.training.experiment import Experiment


def cost_table(experiment: Experiment) -> str:
    """Markdown: seconds and peak memory of training and of segmenting a case, a row for each architecture.

    Of the first finished fold; seconds of training are those for one patch or whole brain, forwards and backwards.
    """
    lines = [
        "| network | parameters | training, s a patch | memory | a whole case, s | memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in experiment.plan.architectures:
        job = next((j for j in experiment.jobs() if j.architecture == name and j.finished), None)
        if job is None:
            continue
        metrics = json.loads(job.metrics.read_text(encoding="utf-8"))
        training, inference = metrics["training"], metrics["inference"]
        configuration = experiment.configuration(name)
        cases = configuration.synthetic_patients or len(experiment.splits.folds[job.fold].training)
        patches = cases * configuration.patches_per_case * configuration.epochs
        lines.append(
            f"| `{name}` | {metrics['parameters'] / 1e6:.2f} M | {training['seconds'] / patches:.1f} "
            f"| {training['peak_memory_bytes'] / 1e9:.1f} GB | {inference['seconds']:.1f} "
            f"| {inference['peak_memory_bytes'] / 1e9:.1f} GB |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    print(cost_table(Experiment(parser.parse_args().experiment)))
    print(f"\n{platform.machine()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB")


if __name__ == "__main__":
    main()
