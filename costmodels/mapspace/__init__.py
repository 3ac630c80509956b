"""The map space: every mapping of a loop nest onto a machine, along the four axes of Timeloop's mapper.

==============================  =========================================================================
:mod:`.index_factorization`     how the prime factors of every loop bound spread over the slots
:mod:`.permutation`             the order of the time loops of every level but the innermost
:mod:`.spatial_split`           which dimensions of a fan-out lie along x, and which along y
:mod:`.bypass`                  which level keeps which tensor
==============================  =========================================================================

:class:`Constraints` hold a machine's constraints on the axes, :class:`MinimumUse` the smallest factors and shares in
use; :func:`fits_capacity` is the one test of tiles against a memory. :class:`MapSpace` puts them together.

A mapping has these forms. Each comes with a pair of codecs, side by side in one class, that lose nothing; only which of
several equal prime factors lies where is dropped by ``to_candidates``, since it means nothing. A batch has the mappings
as its last axis: factors ``(slots, dims, n)``, keeps ``(levels, tensors, n)``.

==============================  ====================================================  ===============================
form                            who uses it                                           codecs
==============================  ====================================================  ===============================
actions, ``(n, decisions)``     environments: slots and dimensions by their number    ``MapSpace.actions``, ``designs``
designs, ``(n, decisions)``     tasks and agents: positions among what is allowed     ``to_candidates``, ``to_designs``
:class:`Candidates`             local search, enumeration: a coordinate per axis      ``to_mappings``, ``from_mappings``
``loopnest.Mappings``           cost model, files: loop positions instead of codes    ``to_loops``, ``from_loops``
chains, ``(sites, dims, n)``    branch and bound: extents at loop sites, as numbers   ``SiteFactorization.to_factors``,
                                of divisors; x and y of a fan-out are one site        ``from_factors``
==============================  ====================================================  ===============================

The order of decisions, of the choices of each and of :meth:`.permutation.Permutation.tables` decides what a design
means, and with it the identity of tasks and certificates: a change there is a new task.
"""

from accelgym.costmodels.mapspace.candidates import Candidates
from accelgym.costmodels.mapspace.capacity import fits_capacity, held_words
from accelgym.costmodels.mapspace.constraints import BYPASSED, FREE, KEPT, Constraints
from accelgym.costmodels.mapspace.decisions import Decision, FactorPlacement, LoopChoice, MemorySize, TensorBypass
from accelgym.costmodels.mapspace.evaluator import CandidateEvaluator
from accelgym.costmodels.mapspace.minimum_use import MinimumUse
from accelgym.costmodels.mapspace.site_factorization import LoopSite, SiteFactorization
from accelgym.costmodels.mapspace.space import MapSpace

__all__ = [
    "BYPASSED",
    "FREE",
    "KEPT",
    "CandidateEvaluator",
    "Candidates",
    "Constraints",
    "Decision",
    "FactorPlacement",
    "LoopChoice",
    "LoopSite",
    "MapSpace",
    "MemorySize",
    "MinimumUse",
    "SiteFactorization",
    "TensorBypass",
    "fits_capacity",
    "held_words",
]
