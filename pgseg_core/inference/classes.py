"""Class names to vectors."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pgseg_core.inference.encoders import Encoders
from pgseg_core.inference.scoring import class_embedding
from pgseg_core.text.templates import fill_prompts, load_templates
from pgseg_core.text.tokenizer import Tokenizer

PROMPTS_AT_ONCE = 256


@torch.inference_mode()
def embed_wordings(
    encoders: Encoders,
    tokenizer: Tokenizer,
    wordings: Sequence[Sequence[str]],
    *,
    templates: str = "simple",
    unit_first: bool = False,
) -> Float[Tensor, "c e"]:
    """Embed groups of wordings, each in all templates and averaged into one unit vector (step 4).

    Args:
        encoders: The network.
        tokenizer: Prompts to the ids it reads.
        wordings: One or more names for each vector.
        templates: A set's name, or a file of templates.
        unit_first: Scale every prompt's vector to length 1 before the mean.

    Raises:
        DataError: No such templates.
    """
    prompts = fill_prompts(load_templates(templates), wordings)
    tokens = tokenizer([prompt for group in prompts for prompt in group])
    features = torch.cat([encoders.encode_prompts(part) for part in tokens.split(PROMPTS_AT_ONCE)])
    per_class = features.split([len(group) for group in prompts])
    return torch.stack([class_embedding(part, unit_first=unit_first) for part in per_class])
