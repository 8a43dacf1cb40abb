"""All benchmarks one after the other, and their closing table; status 1 if a target is missed."""

import os
import sys

from benchmarks import history, month, postgres, real_days, sensor_tick, ui
from benchmarks.measure import options, print_figures, work_folder

if __name__ == "__main__":
    arguments = options("All benchmarks.", repetitions=3)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"This machine is not idle (load {load:.1f}): the figures may be too high.")
    with work_folder(arguments.work) as folder:
        figures = [
            figure
            for part in (real_days, month, postgres, history, sensor_tick, ui)
            for figure in part.benchmark(folder, arguments.repetitions)
        ]
    print_figures(figures)
    sys.exit(0 if all(figure.met for figure in figures) else 1)
