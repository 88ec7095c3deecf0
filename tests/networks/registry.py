"""Small networks of many kinds, for tests of what holds for all: building, costs, export."""

from __future__ import annotations

from tans.types import InputSpec, NetworkRef

TIMM = {
    "test_byobnet": 64,
    "test_convnext": 64,
    "cpubone_nano": 64,
    "cs3darknet_focus_s": 64,
    "cspnext_tiny": 64,
    "davit_tiny": 64,
    "deit_tiny_patch16_224": 224,
    "densenet121": 64,
    "dla46x_c": 64,
    "dpn48b": 64,
    "edgenext_xx_small": 64,
    "efficientformer_l1": 224,
    "efficientformerv2_s0": 224,
    "test_efficientnet": 64,
    "efficientvim_m1": 64,
    "efficientvit_b0": 64,
    "efficientvit_m0": 224,
    "vit_tiny_patch16_dinov3_qkvb": 256,
    "fasternet_t0": 64,
    "fastvit_t8": 64,
    "focalnet_tiny_srf": 64,
    "ghostnet_050": 64,
    "hardcorenas_b": 64,
    "hgnetv2_b0": 64,
    "hrnet_w18_small": 64,
    "iformer_t": 64,
    "inception_next_atto": 64,
    "lcnetv2_small": 64,
    "levit_128s": 224,
    "lowformer_b0": 64,
    "test_mambaout": 64,
    "test_coatnet": 160,
    "poolformerv2_s12": 64,
    "gmlp_ti16_224": 224,
    "lcnet_035": 64,
    "mobilevit_xxs": 64,
    "test_nfnet": 64,
    "pit_ti_224": 224,
    "pvt_v2_b0": 64,
    "rdnet_tiny": 64,
    "regnetx_002": 64,
    "repghostnet_050": 64,
    "repvit_m1": 64,
    "res2next50": 64,
    "resnest14d": 64,
    "test_resnet": 64,
    "resnetv2_18": 64,
    "rexnet_100": 64,
    "selecsls42": 64,
    "legacy_seresnet18": 64,
    "shvit_s1": 64,
    "skresnet18": 64,
    "starnet_s050": 64,
    "swiftformer_xs": 224,
    "swin_tiny_patch4_window7_224": 224,
    "tiny_vit_5m_224": 64,
    "visformer_tiny": 224,
    "test_vit": 160,
    "vit_tiny_r_s16_p8_224": 224,
    "test_vit_relpos": 160,
    "ese_vovnet19b_slim_dw": 64,
    "legacy_xception": 64,
    "xception41p": 64,
}
"""One network of a module of timm each, by name, and pixels a side that it takes."""
TORCHVISION = {
    "alexnet": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64,
    "swin_t": 64,
    "convnext_tiny": 64,
    "efficientnet_v2_s": 64,
    "wide_resnet50_2": 64,
    "vit_b_32": 224,
}
"""One network of each kind of torchvision but VGG, whose layers take half a gigabyte."""
FAST = {
    "torchvision": ("mnasnet0_5", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"),
}
"""Of these the ones that take a second together."""
TRANSFORMERS = {
    'vit {"hidden_size":32,"image_size":32,"intermediate_size":64,"num_attention_heads":2,'
    '"num_hidden_layers":2,"patch_size":8}': 32,
    'convnext {"depths":[1,1,1,1],"hidden_sizes":[8,16,24,32]}': 64,
    'resnet {"depths":[1,1,1,1],"embedding_size":8,"hidden_sizes":[8,16,24,32],'
    '"layer_type":"basic"}': 64,
    'mobilenet_v2 {"depth_multiplier":0.25}': 64,
}
"""Small networks of four types, by name, and pixels a side."""


def refs(family: str, names: dict[str, int]) -> list[NetworkRef]:
    """Networks of one of the tables above, each with the images that it takes."""
    return [NetworkRef(family, name, InputSpec(size)) for name, size in names.items()]


ALL = [
    *refs("timm", TIMM),
    *refs("torchvision", TORCHVISION),
    *refs("transformers", TRANSFORMERS),
]
