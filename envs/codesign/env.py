"""The co-design environment, scalar and vectorised."""

from __future__ import annotations

from typing import ClassVar

from accelgym.envs.codesign.task import CoDesignTask
from accelgym.envs.mapping.env import MappingEnv, MappingVectorEnv
from accelgym.envs.mapping.task import MappingTask

__all__ = ["CoDesignEnv", "CoDesignVectorEnv"]


class CoDesignVectorEnv(MappingVectorEnv):
    """Thousands of lanes of :class:`CoDesignEnv`, stepped as arrays; see :class:`MappingVectorEnv`.

    Args:
        num_envs: Number of lanes.
        one_shot: Decide everything in one step.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``CoDesignSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    task_type: ClassVar[type[MappingTask]] = CoDesignTask


class CoDesignEnv(MappingEnv):
    """Design an accelerator and map a layer onto it, under an area budget.

    ## Description
    A machine of DRAM, SRAM and an array of processing elements, each with a register file and a multiplier, has to
    fit into an area. Larger register files and a larger SRAM keep more words close, but every access to them costs
    more, and they leave room for fewer processing elements. The best sizes depend on the mapping and the other way
    round, so both are chosen together (Thistle, CGO 2022). Costs follow Timeloop's rules (model ``loopnest``) with
    the technology's energies and areas at every size. Minimise energy, latency or their product.

    The first two decisions are the words of the register file and of the SRAM; the remaining area is filled with
    processing elements, in one row. The other decisions build a mapping as in ``accelgym/Mapping-v0``.

    ## Action space
    ``Discrete(choices)``, the meaning depends on the decision at hand. ``action_masks()`` is sound (every masked-in
    prefix can be completed within area, memories and fan-out) and tight (every feasible design is reachable, by
    exactly one path).

    | decision | action |
    |----------|--------|
    | size of a memory | position in ``registers`` or ``sram_words`` |
    | place a prime factor | slot, numbered from the outermost |
    | order | dimension of the next loop, numbered as in the problem |

    With ``one_shot=True`` there is one step with ``MultiDiscrete(task.space.nvec)``: the task's design.

    ## Observation space
    ``Box(-1, 1, (size,), float32)``; ``D`` loops of the problem, ``S`` slots, ``L`` levels, ``T`` tensors.

    | width | observation |
    |-------|-------------|
    | 1 | share of the decisions made |
    | 4 | kind of the next decision: keep, place, order, size (one-hot) |
    | D + 1 | its dimension (one-hot), and its prime factor: log, relative to the longest loop |
    | L + T | its level and its tensor (one-hot) |
    | D | loop bounds: log, relative to the longest |
    | D | share of each loop not placed yet (log) |
    | S x D | share of each loop placed in each slot (log) |
    | limited levels | share of the capacity in use, of the machine chosen |
    | fan-outs | share of the fan-out in use |
    | 2 | sizes chosen: position over number of choices, 0 while open |
    | L x T | tensors kept |
    | (L - 1) x D | positions of ordered loops: 1 innermost, falling outwards, 0 open |

    ## Rewards
    0 until the design is complete, then ``-log(objective / lower bound) / scale`` with the task's cheap certified
    bound, ``scale`` 1 more than that logarithm is for the design with all loops outermost. Infeasible designs pay as
    in ``accelgym/Mapping-v0``: -1, less the share of the decisions that broke something, each as it happens.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when everything is decided. An action that does not exist is replaced by the first that does, and the
    design counts as infeasible.

    ## Arguments
    Fields of ``CoDesignSpec``, checked with errors that name the key: ``workload``, ``layer``, ``architecture`` (the
    preset whose structure and area are taken), ``objective``, ``padding``, ``technology``, ``sram_unit``,
    ``area_um2``, ``dram_bandwidth``, ``sram_bandwidth``, ``registers``, ``sram_words``. ``one_shot`` and
    ``render_mode`` as in ``accelgym/Mapping-v0``.
    By default the energy of the first layer of ResNet-18, which is proven to 0.1 %; the delay and EDP of large layers
    keep a gap.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/CoDesign-v0", workload="thistle/resnet18", layer=2, objective="energy")
    ```

    ## Info
    As ``accelgym/Mapping-v0``.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=1024)`` gives :class:`CoDesignVectorEnv`.

    ## Version history
    * v0: first version.
    """

    lanes_type: ClassVar[type[MappingVectorEnv]] = CoDesignVectorEnv
