"""Verification finds faults: broken Verilog is not verified, and the fault is located."""

from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.emitter import Rtl, emit
from accelgym.hwgen.verification import verify
from accelgym.hwgen.verification_record import VerificationRecord

CONFIG = make_config(rows=3, columns=4)
LAYER = Layer.conv("conv", K=6, C=5, H=6, R=2, padding=1)


def broken(file: str, old: str, new: str, config: SystolicConfig = CONFIG) -> Rtl:
    files = dict(emit(config).files)
    assert files[file].count(old) == 1
    files[file] = files[file].replace(old, new)
    return Rtl(files)


def record(rtl: Rtl, cache, *, locate: bool = False) -> VerificationRecord:
    return verify(CONFIG, (LAYER,), cache=cache, rtl=rtl, locate=locate)


def test_weights_that_arrive_with_their_pass_are_used(cache):
    """Passes as short as a weight block: the last row captures its weight in the cycle in which it becomes active."""
    config, layer = make_config(rows=5, columns=3, weight_port_bits=24), Layer.gemm("short", M=2, K=6, C=20)
    assert verify(config, (layer,), cache=cache).verified
    late = broken("array_weight_stationary.v", "i == ROWS - 1 && SCALED == 0", "0", config)
    assert not verify(config, (layer,), cache=cache, rtl=late, locate=False).bit_exact


def test_a_fault_in_one_element_is_located(cache):
    """The multiply-add of row 1, column 2 drops its product from some step on."""
    files = dict(emit(CONFIG).files)
    array = files["array_weight_stationary.v"]
    old = ".psum_in(psum_above[j*ABOVE_BITS +: ABOVE_BITS]),"
    assert array.count(old) == 1
    new = ".psum_in(psum_above[j*ABOVE_BITS +: ABOVE_BITS] ^ {{(ABOVE_BITS-1){1'b0}}, i == 1 && j == 2}),"
    files["array_weight_stationary.v"] = array.replace(old, new)
    found = record(Rtl(files), cache, locate=True).layers[0].mismatch
    assert found is not None
    assert (found["place"], found["row"], found["column"]) == ("array", 1, 2)
    assert found["expected"] ^ found["found"] == 1


def test_what_ports_must_not_do_is_named(cache):
    found = record(broken("tile_loader.v", "mem_read = issue & in_image", "mem_read = issue"), cache)
    assert found.bit_exact
    assert found.cycles_exact
    assert not found.ports_clean
    assert not found.verified
    assert any("wrong_reads" in failure for failure in found.layers[0].failures())


def test_a_cycle_too_few_is_noticed(cache):
    old = "delay_line #(.CYCLES(2 + ADD_CYCLES)) closing ("
    found = record(broken("accumulator.v", old, "delay_line #(.CYCLES(2)) closing ("), cache)
    assert not found.bit_exact  # The drain of a short layer overtakes its last addition.
    assert not found.cycles_exact
    assert not found.verified


def test_careless_verilog_is_noticed(cache):
    rtl = broken(
        "mac_int.v", "localparam PRODUCT_BITS = X_BITS + W_BITS;", "localparam PRODUCT_BITS = X_BITS + W_BITS + 1;"
    )
    found = record(rtl, cache)
    assert found.bit_exact
    assert not found.lints
    assert not found.verified
