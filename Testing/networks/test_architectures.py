import pytest
import safetensors.torch
import torch
from tokenunet.core.errors import ArchitectureError, UnusableWeightsError
from tokenunet.networks import architectures, build_network
from tokenunet.networks.blocks import trainable_parameters
from tokenunet.networks.mixers import load_transformer_blocks
from tokenunet.networks.token_unet import TokenUNet

TABLE_1 = {"unet": "12.89", "swin_unetr": "15.71", "unet_star": "2.42", "token_unet": "2.45"}
SMALL = {"channels": (4, 8, 16, 32)}


@pytest.mark.parametrize(("name", "millions"), TABLE_1.items())
def test_parameters_print_as_in_table_1(name: str, millions: str) -> None:
    assert f"{trainable_parameters(build_network(name)) / 1e6:.2f}" == millions


def test_transformer_variant_is_within_two_percent_of_table_1() -> None:
    """5,609,051 against 5.51 M: the docstring of `TokenUNet` gives the reason for the difference."""
    assert trainable_parameters(build_network("token_unet_transformer")) == pytest.approx(5.51e6, rel=0.02)


@pytest.mark.parametrize("name", architectures())
def test_output_has_the_inputs_size(name: str) -> None:
    with torch.inference_mode():
        output = build_network(name, in_channels=4, out_channels=3).eval()(torch.zeros(1, 4, 64, 64, 96))
    assert output.shape == (1, 3, 64, 64, 96)


@pytest.mark.parametrize("mixer", ["identity", "transformer", "mlp_mixer"])
@pytest.mark.parametrize("token_width", [None, 24])
def test_masks_come_with_the_same_logits_and_from_the_same_pass(mixer: str, token_width: int | None) -> None:
    network = build_network("token_unet", mixer=mixer, token_width=token_width, tokens=6, depth=2, **SMALL).eval()
    assert isinstance(network, TokenUNet)
    x = torch.randn(2, 4, 16, 24, 32)
    passes = []
    network.stem.register_forward_hook(lambda *_: passes.append(1))
    with torch.inference_mode():
        logits, masks = network.forward_with_maps(x)
        assert len(passes) == 1
        torch.testing.assert_close(network(x), logits)
    assert masks.token_learner.shape == masks.token_fuser.shape == (2, 6, 2, 3, 4)


def test_token_mixer_sees_n_tokens_whatever_the_volumes_size() -> None:
    network = build_network("token_unet_transformer", **SMALL).eval()
    seen = []
    network.mixer.register_forward_hook(lambda module, args, output: seen.append(args[0].shape))
    with torch.inference_mode():
        network(torch.randn(1, 4, 16, 16, 16))
        network(torch.randn(1, 4, 32, 32, 32))
    assert seen == [(1, 8, 32), (1, 8, 32)]


def test_pretrained_blocks_of_another_width_fit_between(tmp_path) -> None:
    donor = build_network("token_unet_transformer", token_width=48, depth=3, **SMALL)
    path = tmp_path / "vit.safetensors"
    tensors = {f"blocks.{name}": value.clone() for name, value in donor.mixer.state_dict().items()}
    safetensors.torch.save_file(tensors | {"cls_token": torch.zeros(1)}, path)

    network = build_network("token_unet_transformer", token_width=48, depth=2, **SMALL)
    load_transformer_blocks(network.mixer, path)
    for name, value in network.mixer.state_dict().items():
        assert torch.equal(value, tensors[f"blocks.{name}"])

    narrow = build_network("token_unet_transformer", depth=2, **SMALL)
    with pytest.raises(UnusableWeightsError, match="token_width"):
        load_transformer_blocks(narrow.mixer, path)
    deep = build_network("token_unet_transformer", token_width=48, depth=4, **SMALL)
    with pytest.raises(UnusableWeightsError, match=r"blocks\.3"):
        load_transformer_blocks(deep.mixer, path)


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path) -> None:
    (tmp_path / "vit.safetensors").write_bytes(b"\x80\x04 not safetensors")
    with pytest.raises(UnusableWeightsError, match="not a readable safetensors file"):
        load_transformer_blocks(build_network("token_unet_transformer", **SMALL).mixer, tmp_path / "vit.safetensors")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet", {}),
        ("token_unet", {"depht": 3}),
        ("token_unet", {"mixer": "lstm"}),
        ("token_unet", {"mixer": "transformer", "heads": 7}),
    ],
)
def test_unknown_names_and_arguments_are_refused(name: str, arguments: dict) -> None:
    with pytest.raises(ArchitectureError, match=r"no architecture|arguments"):
        build_network(name, **arguments)
