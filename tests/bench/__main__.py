"""`python -m tests.bench [SECTION ...]`: every section, or those named, each in a process of its own.

What they find goes to the terminal and, where all were run, to RESULTS.md and results.svg beside this file.
"""

from __future__ import annotations

import multiprocessing
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.measure import Section, machine, run, versions

SECTIONS = {
    "verify": "1. Token verification",
    "route": "2. An API route",
    "gate": "3. A Gradio request",
    "sign_in": "4. Sign-in",
    "load": "5. Load",
    "start": "6. Start and memory",
    "instructions": "7. Instructions",
}
HERE = Path(__file__).parent
PACKAGES = ("gradio", "fastapi", "starlette", "uvicorn", "httptools", "uvloop")


def draw(found: dict[str, Section], path: Path) -> None:
    """Each ratio as a bar with its spread; the line at 1.0 is the same work without this app."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    bars = {label: bar for section in found.values() for label, bar in section.bars.items()}
    labels, spreads = list(bars)[::-1], list(bars.values())[::-1]
    medians = [bar.median for bar in spreads]
    figure, axes = pyplot.subplots(figsize=(8, 0.3 * len(bars) + 1), layout="constrained")
    ends = [[bar.median - bar.low for bar in spreads], [bar.high - bar.median for bar in spreads]]
    axes.barh(labels, medians, xerr=ends, color=["#2f6f9f" if value <= 1 else "#c9803a" for value in medians])
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("times the work of the first that it is set beside (less is better)")
    figure.savefig(path, metadata={"Date": None})


def write(found: dict[str, Section]) -> None:
    """The results so far: a section that fails loses none of those before it."""
    about = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, `python -m tests.bench`",
        machine(),
        versions(*PACKAGES),
    ]
    sections = [f"## {SECTIONS[name]}\n\n{section}" for name, section in found.items()]
    top = "# Measured beside others\n\nWritten by the bench itself. A multiple is of the median of each round, with"
    top += " the middle half of the rounds in parentheses.\n\n" + "\n".join(f"- {line}" for line in about)
    text = "\n\n".join([top, "![Ratios](results.svg)", *sections])
    (HERE / "RESULTS.md").write_text(text, "utf-8")
    draw(found, HERE / "results.svg")


def main() -> None:
    chosen = sys.argv[1:] or list(SECTIONS)
    if unknown := set(chosen) - SECTIONS.keys():
        sys.exit(f"There is no section {', '.join(sorted(unknown))}: {', '.join(SECTIONS)}.")
    spawn = multiprocessing.get_context("spawn")
    found: dict[str, Section] = {}
    for name in chosen:
        with spawn.Pool(1) as pool:
            found[name] = pool.apply(run, (name,))
        print(f"## {SECTIONS[name]}\n\n{found[name]}", flush=True)
        if chosen == list(SECTIONS):
            write(found)


if __name__ == "__main__":
    main()
