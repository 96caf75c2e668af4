"""From a generated cathode to a discharge curve: its structure in a Doyle-Fuller-Newman model of PyBaMM.

    pip install kerasgan3d pybamm && python docs/discharge.py

The chemistry, the anode and the separator are those of Chen et al., J. Electrochem. Soc. 167:080534 (2020), as PyBaMM
has them; porosity, transport efficiency, active fraction, particle radius, conductivity and thickness of the cathode
are those of the volume.
"""

import numpy as np
import pybamm

from kerasgan3d import load_generator
from kerasgan3d.export import electrode_parameters


def main(size: int = 64, hours: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Print parameters and a discharge at 1C; return its time, s, and voltage, V."""
    volume = load_generator("nmc-cathode").sample(size, periodic=True, seed=0)
    cathode = electrode_parameters(volume, active="NMC", axis="z", thickness=75, conductivity={"NMC": 1.0})
    print(*cathode.notes, sep="\n")
    parameters = pybamm.ParameterValues("Chen2020")
    parameters.update(cathode.to_pybamm())
    simulation = pybamm.Simulation(pybamm.lithium_ion.DFN(), parameter_values=parameters)
    solution = simulation.solve([0, 3600 * hours])
    time, voltage = solution["Time [s]"].entries, solution["Terminal voltage [V]"].entries
    for k in np.linspace(0, len(time) - 1, 7).astype(int):
        print(f"{time[k]:6.0f} s  {voltage[k]:.3f} V")
    return time, voltage


if __name__ == "__main__":
    main()
