"""Batch norm folded into the layer before it, exact in eval mode up to rounding.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (CVPR 2018), section 3.2, eq. 14.
"""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from osnet_edge.train.osnet import Conv, LightConv, OSNet


def fold_batch_norms(model: OSNet) -> OSNet:
    """Return a copy of an OSNet, in eval mode, without batch norms.

    Instance norms stay: their statistics are of the image at hand.

    Args:
        model: an OSNet; it is not changed.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if isinstance(module, Conv) and module.norm and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.add_module("bn", nn.Identity())
        elif isinstance(module, LightConv):
            module.conv2 = fuse_conv_bn_eval(module.conv2, module.bn)
            module.add_module("bn", nn.Identity())
    # Empty where the pooled features are the embedding.
    linear, norm, relu = folded.fc or (None, None, None)
    if isinstance(linear, nn.Linear) and isinstance(norm, nn.BatchNorm1d) and relu is not None:
        folded.fc = nn.Sequential(fuse_linear_bn_eval(linear, norm), relu)
    return folded
