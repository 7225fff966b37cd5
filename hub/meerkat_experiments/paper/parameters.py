"""Table 3 of the paper, what section 4.3 and 4.4 add to it, and what its authors published of E2.

Times are in seconds unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from meerkat_contract.errors import UsageError

KILOBYTE = 1000
SETS: tuple[tuple[int, ...], ...] = ((40, 20, 10), (60, 30, 10))
"""E2: capacities of the three FLO nodes, images a second."""
MESSAGES = (100, 300, 600, 1000)
"""E2: images per run."""
INTEREST = (1.0, 0.5, 0.25, 0.1)
"""E1: the part of the frames that are images of interest."""
NODES = (1, 2, 3, 4)
"""E1: FLO nodes."""
MAY_BE_ZERO = ("delay", "dlo_seconds", "message_kilobytes")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Table 3, with the values of the paper."""

    workflows: int = 2
    """Section 4.4; each has its own broker in the paper, and they share the FLO nodes."""
    cameras_per_mlo: int = 2
    """One MLO node for each workflow."""
    camera_fps: float = 20.0
    """One frame each 50 ms, the "data sensing interval"."""
    mlo_fps: float = 40.0
    flo_fps: float = 20.0
    dlo_seconds: float = 0.008
    """Table 1; Table 3 gives no figure."""
    bandwidth_mbps: float = 100.0
    delay: float = 0.004
    """Of each hop."""
    message_kilobytes: float = 50.0
    simulation_time: float = 3.0
    camera_offset: float = 0.025
    """Between the two cameras of an MLO node. With none, each second frame would wait for the first."""
    workflow_offset: float = 0.0
    """Between the cameras of one workflow and those of the next. The paper does not say."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            zero = name.endswith("offset") or name in MAY_BE_ZERO
            if not (0 if zero else 1e-9) <= value < inf:
                remedy = "Give 0 or more" if zero else "Give a number above 0"
                raise UsageError(f"{value} is not a possible value", where=name, remedy=remedy)

    @property
    def transmission(self) -> float:
        """Of one message over one link: 4 ms."""
        return self.message_kilobytes * KILOBYTE * 8 / (self.bandwidth_mbps * 1e6)

    @property
    def hop(self) -> float:
        """A message from one node to the next: 4 + 4 = 8 ms."""
        return self.transmission + self.delay

    @property
    def round_trip(self) -> float:
        """A message to a node and its small reply: 8 + 4 = 12 ms."""
        return self.hop + self.delay

    @property
    def workflow_time(self) -> float:
        """MWT, Eq. 7: 25 + 50 + 8 ms of work and three hops of 8 ms are 107 ms."""
        return 1 / self.mlo_fps + 1 / self.flo_fps + self.dlo_seconds + 3 * self.hop

    @property
    def flow(self) -> float:
        """Frames a second of all cameras (Eq. 1): 80."""
        return self.workflows * self.cameras_per_mlo * self.camera_fps

    @property
    def papers(self) -> bool:
        """Whether these are the paper's own; it does not say how far apart its workflows' frames are."""
        return replace(self, workflow_offset=0.0) == Parameters()

    def rows(self) -> list[tuple[str, str]]:
        """Table 3 as it is run, for people."""
        return [
            ("workflows, each with its MLO node", f"{self.workflows}"),
            (
                "nodes used of its 5 MLO, 5 FLO, 5 DLO",
                f"{(n := self.workflows)} MLO, {n} DLO; FLO by row",
            ),
            ("cameras per MLO node", f"{self.cameras_per_mlo} × {self.camera_fps:g} frames/s"),
            ("data sensing interval", f"{1000 / self.camera_fps:g} ms"),
            ("capacity of an MLO node", f"{self.mlo_fps:g} frames/s"),
            ("capacity of a FLO node", f"{self.flo_fps:g} images/s (E1)"),
            ("decision (DLO), Table 1", f"{self.dlo_seconds * 1e3:g} ms"),
            ("bandwidth", f"{self.bandwidth_mbps:g} Mbit/s, so {self.transmission * 1e3:g} ms a message"),
            ("delay of each hop", f"{self.delay * 1e3:g} ms"),
            ("message", f"{self.message_kilobytes:g} kB"),
            ("simulation time", f"{self.simulation_time * 1e3:g} ms (E1)"),
            ("MWT, Eq. 7", f"{self.workflow_time * 1e3:.4g} ms"),
        ]


AUTHORS_COUNTS: dict[tuple[int, ...], tuple[int, ...]] = {
    (60, 30, 10): (59, 30, 11),
    (40, 20, 10): (54, 30, 16),
}
"""How many of 100 messages each node did under the paper's rule, as its authors published."""
AUTHORS_TURNS = 33
"""How many each node did under round robin, as the paper counts: 33 × (16 + 33 + 100) / 3 ms are its 1640."""
