import pytest
import torch

from pgseg_core.device import check_compiler, find_precision
from pgseg_core.errors import ConfigError


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_on_a_cpu_only_where_it_is_in_hardware(monkeypatch, in_hardware, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: in_hardware, raising=False)
    assert find_precision("auto", torch.device("cpu")) == precision


def test_an_older_torch_that_cannot_tell_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert find_precision("auto", torch.device("cpu")) == "fp32"


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_a_named_precision_is_taken_as_it_is(name):
    assert find_precision(name, torch.device("cpu")) == name


def test_compiling_needs_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "")
    compiler = tmp_path / "g++"
    compiler.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check_compiler(torch.device("cpu"))
    compiler.unlink()
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler"):
        check_compiler(torch.device("cpu"))
    with pytest.raises(ConfigError, match="needs a CUDA device or a CPU"):
        check_compiler(torch.device("mps"))
