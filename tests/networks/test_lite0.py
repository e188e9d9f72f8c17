"""EfficientNet-Lite0, against timm's, which needs BatchNorm and dynamic filling to say the same."""

import pytest
import timm
import torch

from pgseg_core.errors import CheckpointError
from pgseg_core.networks.blocks.lite0 import Lite0, fold_weights


@pytest.fixture(scope="module")
def peer():
    """Return timm's network with statistics and gains as a trained one has them: not 0 and 1."""
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.double()


def ours(published):
    network = Lite0().double().eval()
    network.load_state_dict(fold_weights(published))
    return network


@pytest.mark.parametrize("size", [(64, 64), (80, 48), (33, 50)])
def test_it_is_timms_network(peer, size):
    images = torch.rand(2, 3, *size, dtype=torch.float64) * 2 - 1
    stages = []
    peer.blocks[4].register_forward_hook(lambda module, before, after: stages.append(after))
    with torch.no_grad():
        coarse = peer.forward_features(images)
        ours_fine, ours_coarse = ours(peer.state_dict())(images)
    torch.testing.assert_close(ours_fine, stages[-1], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(ours_coarse, coarse, atol=1e-9, rtol=1e-9)


def test_a_frozen_network_in_pieces_says_what_it_says_at_once(peer):
    network = ours(peer.state_dict())
    images = torch.rand(6, 3, 48, 48, dtype=torch.float64)
    whole = network(images)
    pieces = network.requires_grad_(False)(images)  # a few images at a time, on a CPU
    for ours_whole, ours_piece in zip(whole, pieces, strict=True):
        torch.testing.assert_close(ours_whole, ours_piece, atol=1e-12, rtol=1e-12)


def test_another_networks_weights_are_refused(peer):
    weights = peer.state_dict()
    weights["conv_stem.weight"] = weights["conv_stem.weight"][:, :, :1]
    with pytest.raises(CheckpointError, match=r"first has shape \(32, 3, 1, 3\)"):
        fold_weights(weights)
    with pytest.raises(CheckpointError, match="1 tensors are too few"):
        fold_weights({"weight": torch.zeros(1)})
