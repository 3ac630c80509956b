"""The Verilog of the operand decoders at the edge of the array."""

from __future__ import annotations

from accelgym.hwgen.operands import Decoder, Decoding, Operand, float_fields

__all__ = ["mode_bits", "operand_decoder"]


def mode_bits(formats: int) -> int:
    """Returns the bits that choose one of several formats, at least 1."""
    return max((formats - 1).bit_length(), 1)


def operand_decoder(name: str, lane: Operand) -> str:
    """Returns the module that turns a stored code into a lane word."""
    count, bits = len(lane.decoders), max(decoder.datatype.bits for decoder in lane.decoders)
    modes = mode_bits(count)
    if count == 1:
        body = f"{_decoded(lane, lane.decoders[0], 'code', 'lane')}    wire unused = &{{1'b0, mode}};\n"
    else:
        body = f"    wire [{lane.lane_bits - 1}:0] {', '.join(f'lane_{i}' for i in range(count))};\n"
        for i, decoder in enumerate(lane.decoders):
            stored = decoder.datatype.bits
            code = "code" if stored == bits else f"code[{stored - 1}:0]"
            body += f"    // {decoder.datatype.name}\n{_decoded(lane, decoder, code, f'lane_{i}', f'_{i}')}"
        chosen = "".join(f"mode == {modes}'d{i} ? lane_{i} : " for i in reversed(range(1, count)))
        body += f"    assign lane = {chosen}lane_0;\n"
    names = ", ".join(decoder.datatype.name for decoder in lane.decoders)
    return f"""\
// Stored {names} codes as the array takes them.
`default_nettype none
module {name} (
    input  wire [{modes - 1}:0] mode,
    input  wire [{bits - 1}:0] code,
    output wire [{lane.lane_bits - 1}:0] lane
);
{body}endmodule
`default_nettype wire
"""


def _decoded(lane: Operand, decoder: Decoder, code: str, target: str, suffix: str = "") -> str:
    """Drives ``target`` with the lane word of ``code``; names that are declared end in ``suffix``."""
    if decoder.decoding is Decoding.SIGN_EXTENSION:
        return _extended(lane, decoder, code, target)
    if decoder.decoding is Decoding.MAGNITUDE:
        return _magnitude(lane, decoder, code, target, suffix)
    if decoder.decoding is Decoding.FIELDS:
        return _fields(lane, decoder, code, target, suffix)
    bits = decoder.datatype.bits
    assert decoder.table is not None
    rows = "\n".join(
        f"            {bits}'d{stored}: value{suffix} = {lane.lane_bits}'d{word};"
        for stored, word in enumerate(decoder.table[:-1])
    )
    return f"""\
    reg [{lane.lane_bits - 1}:0] value{suffix};
    assign {target} = value{suffix};
    always @*
        case ({code})
{rows}
            default: value{suffix} = {lane.lane_bits}'d{decoder.table[-1]};
        endcase
"""


def _extended(lane: Operand, decoder: Decoder, code: str, target: str) -> str:
    bits = decoder.datatype.bits
    missing = lane.lane_bits - bits
    return f"    assign {target} = {f'{{{{{missing}{{code[{bits - 1}]}}}}, {code}}}' if missing else code};\n"


def _widened(name: str, bits: int, width: int) -> str:
    """Fills a name of some bits up with zeros."""
    return name if bits == width else f"{{{width - bits}'d0, {name}}}"


def _magnitude(lane: Operand, decoder: Decoder, code: str, target: str, suffix: str) -> str:
    bits, e = decoder.datatype.bits, lane.exponent_bits
    magnitude = _widened(f"magnitude{suffix}", bits, lane.significand_bits)
    return f"""\
    wire negative{suffix} = code[{bits - 1}];
    wire [{bits - 1}:0] magnitude{suffix} = negative{suffix} ? -{code} : {code};
    assign {target} = {{2'b00, negative{suffix}, {e}'d{decoder.exponent}, {magnitude}}};
"""


def _fields(lane: Operand, decoder: Decoder, code: str, target: str, suffix: str) -> str:
    fields = float_fields(decoder.datatype)
    assert fields is not None
    exponent_bits, mantissa_bits, specials = fields
    exponent = _widened(f"exponent{suffix}", exponent_bits, lane.exponent_bits)
    significand = _widened(f"significand{suffix}", mantissa_bits + 1, lane.significand_bits)
    return f"""\
    wire negative{suffix}, infinite{suffix}, nan{suffix};
    wire [{exponent_bits - 1}:0] exponent{suffix};
    wire [{mantissa_bits}:0] significand{suffix};
    wire [{lane.exponent_bits - 1}:0] shifted{suffix} = {exponent} + {lane.exponent_bits}'d{decoder.exponent};
    decode_float #(
        .EXPONENT_BITS({exponent_bits}), .MANTISSA_BITS({mantissa_bits}), .SPECIALS({specials})
    ) decode{suffix} (
        .code({code}), .negative(negative{suffix}), .exponent(exponent{suffix}), .significand(significand{suffix}),
        .infinite(infinite{suffix}), .nan(nan{suffix})
    );
    assign {target} = {{infinite{suffix}, nan{suffix}, negative{suffix}, shifted{suffix}, {significand}}};
"""
