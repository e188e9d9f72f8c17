"""Options: what they are (`schema`, `network`), and how they are read (`load`)."""

from pgseg_core.config.load import (
    Fault,
    config_values,
    first_fault,
    load_config,
    parse_config,
    preset_names,
)
from pgseg_core.config.network import (
    ImageEncoderConfig,
    ModelConfig,
    NprConfig,
    TextEncoderConfig,
)
from pgseg_core.config.schema import (
    Candidates,
    Config,
    DataConfig,
    EvaluationConfig,
    InferenceConfig,
    TrainConfig,
)

__all__ = [
    "Candidates",
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "Fault",
    "ImageEncoderConfig",
    "InferenceConfig",
    "ModelConfig",
    "NprConfig",
    "TextEncoderConfig",
    "TrainConfig",
    "config_values",
    "first_fault",
    "load_config",
    "parse_config",
    "preset_names",
]
