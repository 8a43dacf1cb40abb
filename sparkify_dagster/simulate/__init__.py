"""A seeded simulator of Sparkify's lake, in the shape and with the troubles of the real data.

This package writes files and knows nothing of warehouse or orchestration. The same arguments give
the same bytes on every machine, and a longer simulation begins with the files of a shorter one.
numpy is imported only once a lake is written.
"""

from sparkify_dagster.simulate.lake import SimulatedLake, write_lake
from sparkify_dagster.simulate.plan import Simulation, SimulationError

__all__ = ["SimulatedLake", "Simulation", "SimulationError", "write_lake"]
