"""DeepSpeed's own estimates of memory, beside ours."""

from pgseg_backends.deepspeed_import import importing_deepspeed

_GPUS_PER_NODE = 8


def deepspeed_states(
    parameters: int, largest_layer: int, *, devices: int
) -> dict[int, float] | None:
    """Return bytes per device of weights, gradients and moments in stage 2 and 3.

    DeepSpeed counts half-precision weights beside float32 ones (18 bytes a parameter are cut up, 2
    are not); ours are float32 alone. None where DeepSpeed is not installed.
    """
    try:
        with importing_deepspeed():
            from deepspeed.runtime.zero.stage3 import (  # noqa: PLC0415 - optional, slow to import
                estimate_zero3_model_states_mem_needs,
            )
            from deepspeed.runtime.zero.stage_1_and_2 import (  # noqa: PLC0415 - as above
                estimate_zero2_model_states_mem_needs,
            )
    except ImportError:
        return None
    here = min(devices, _GPUS_PER_NODE)
    machines = -(-devices // here)
    whole = {"num_gpus_per_node": here, "num_nodes": machines, "cpu_offload": False}
    _, second = estimate_zero2_model_states_mem_needs(parameters, **whole)
    _, third, _ = estimate_zero3_model_states_mem_needs(
        parameters, largest_layer, cpu_offload_params=False, **whole
    )
    return {2: float(second), 3: float(third)}
