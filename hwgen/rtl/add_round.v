// Adds an exact number to a floating-point code and rounds once, to nearest even; overflow gives infinity.
// STAGES 2 registers the sum before it is normalised.
//
// The exact number is (-1)**negative * significand * 2**(exponent + OFFSET), not normalised. The code follows IEEE 754
// with EXPONENT_BITS and MANTISSA_BITS and gradual underflow. NaN comes out as the positive quiet NaN; an exact sum
// of zero is +0 unless both terms are negative.
//
// Both significands are aligned in a window that starts at the larger top bit. What leaves the window is jammed into
// its last bit; the window is wide enough that this bit stays below the rounding position.
`default_nettype none
module add_round #(
    parameter SIGNIFICAND_BITS = 8,
    parameter EXACT_EXPONENT_BITS = 5,
    parameter OFFSET = -20,
    parameter EXPONENT_BITS = 8,
    parameter MANTISSA_BITS = 7,
    parameter STAGES = 1
) (
    input  wire                                 clk,
    input  wire                                 negative,
    input  wire [EXACT_EXPONENT_BITS-1:0]       exponent,
    input  wire [SIGNIFICAND_BITS-1:0]          significand,
    input  wire                                 infinite,
    input  wire                                 nan,
    input  wire [EXPONENT_BITS+MANTISSA_BITS:0] addend,
    output wire [EXPONENT_BITS+MANTISSA_BITS:0] sum
);
    /*verilator no_inline_module*/  // Halves the time to compile a simulator of many adders.
    localparam M = MANTISSA_BITS;
    localparam E = EXPONENT_BITS;
    localparam BIAS = (1 << (E - 1)) - 1;
    localparam S = SIGNIFICAND_BITS;
    localparam WINDOW = S + M + 4;
    localparam COUNT_BITS = $clog2(WINDOW + 2);
    // Exponents of the top bits are compared as biased exponents of the result, with room for their difference.
    localparam [31:0] TOP_OFFSET_WIDE = OFFSET + S - 1 + BIAS;
    localparam TOP_DISTANCE = (OFFSET + S - 1 + BIAS < 0) ? -(OFFSET + S - 1 + BIAS) : OFFSET + S - 1 + BIAS;
    localparam X = $clog2((1 << EXACT_EXPONENT_BITS) + (1 << E) + TOP_DISTANCE + WINDOW) + 2;
    localparam signed [X-1:0] TOP_OFFSET = $signed(TOP_OFFSET_WIDE[X-1:0]);
    localparam signed [X-1:0] MAX_SHIFT = WINDOW;
    localparam signed [X-1:0] ONE = 1;
    localparam signed [X-1:0] SUBNORMAL = 0;

    wire b_negative, b_infinite, b_nan;
    wire [E-1:0] b_exponent;
    wire [M:0] b_significand;
    decode_float #(.EXPONENT_BITS(E), .MANTISSA_BITS(M), .SPECIALS(1)) decode (
        .code(addend), .negative(b_negative), .exponent(b_exponent), .significand(b_significand),
        .infinite(b_infinite), .nan(b_nan)
    );

    // Alignment. Both differences at once: the one that is not negative counts.
    wire signed [X-1:0] a_top = $signed({{(X-EXACT_EXPONENT_BITS){1'b0}}, exponent}) + TOP_OFFSET;
    wire signed [X-1:0] b_top = $signed({{(X-E){1'b0}}, b_exponent});
    wire signed [X-1:0] a_above = a_top - b_top;
    wire signed [X-1:0] b_above = b_top - a_top;
    wire a_first = ~a_above[X-1] & (|significand);
    wire signed [X-1:0] gap = a_first ? a_above : b_above;
    wire signed [X-1:0] shift = (gap > MAX_SHIFT || gap[X-1]) ? MAX_SHIFT : gap;
    wire [WINDOW-1:0] a_window = {significand, {(WINDOW-S){1'b0}}};
    wire [WINDOW-1:0] b_window = {b_significand, {(WINDOW-M-1){1'b0}}};
    wire [WINDOW-1:0] first = a_first ? a_window : b_window;
    wire [WINDOW-1:0] second = a_first ? b_window : a_window;
    wire [2*WINDOW-1:0] spread = {second, {WINDOW{1'b0}}} >> shift;
    wire [WINDOW-1:0] aligned = {spread[2*WINDOW-1:WINDOW+1], spread[WINDOW] | (|spread[WINDOW-1:0])};

    // Sum of magnitudes, one bit longer; here, too, both differences at once.
    wire subtract = negative ^ b_negative;
    wire [WINDOW:0] difference = {1'b0, first} - {1'b0, aligned};
    wire [WINDOW:0] opposite = {1'b0, aligned} - {1'b0, first};
    wire [WINDOW:0] added = {1'b0, first} + {1'b0, aligned};
    wire second_larger = difference[WINDOW];
    wire first_negative = a_first ? negative : b_negative;

    wire any_nan = nan | b_nan | (infinite & b_infinite & subtract);
    wire any_infinite = infinite | b_infinite;
    wire infinite_sign = infinite ? negative : b_negative;

    wire [WINDOW:0] magnitude;
    wire signed [X-1:0] top;
    wire sum_negative, zero_negative, is_nan, is_infinite, infinite_negative;
    localparam STATE = WINDOW + X + 6;
    wire [STATE-1:0] state = {
        subtract ? (second_larger ? opposite : difference) : added, a_first ? a_top : b_top,
        first_negative ^ (second_larger & subtract), negative & b_negative, any_nan, any_infinite, infinite_sign
    };
    wire [STATE-1:0] held;
    assign {magnitude, top, sum_negative, zero_negative, is_nan, is_infinite, infinite_negative} = held;
    generate
        if (STAGES == 1) begin : direct
            assign held = state;
            wire unused = &{1'b0, clk};
        end else begin : registered
            reg [STATE-1:0] state_q;
            always @(posedge clk) state_q <= state;
            assign held = state_q;
        end
    endgenerate
    wire zero = ~(|magnitude);
    wire total_negative = zero ? zero_negative : sum_negative;

    // Normalisation stops at the smallest exponent: the rest is subnormal.
    wire [COUNT_BITS-1:0] zeros;
    leading_zeros #(.WIDTH(WINDOW + 1), .COUNT_BITS(COUNT_BITS)) lead (.d(magnitude), .count(zeros));
    wire signed [X-1:0] zeros_wide = $signed({{(X-COUNT_BITS){1'b0}}, zeros});
    wire stops = zeros_wide > top;
    wire signed [X-1:0] left = stops ? top : zeros_wide;
    wire [WINDOW:0] normal = magnitude << left[COUNT_BITS-1:0];
    wire signed [X-1:0] field = normal[WINDOW] ? top + ONE - left : SUBNORMAL;

    // Rounding; a carry runs from the mantissa into the exponent.
    wire guard = normal[WINDOW-M-1];
    wire sticky = |normal[WINDOW-M-2:0];
    wire up = guard & (sticky | normal[WINDOW-M]);
    wire [X+M-1:0] rounded = {field, normal[WINDOW-1 -: M]} + {{(X+M-1){1'b0}}, up};
    wire overflow = rounded[X+M-1:M] >= {{(X-E){1'b0}}, {E{1'b1}}};

    assign sum = is_nan ? {1'b0, {E{1'b1}}, 1'b1, {(M-1){1'b0}}}
               : is_infinite ? {infinite_negative, {E{1'b1}}, {M{1'b0}}}
               : {total_negative, overflow ? {{E{1'b1}}, {M{1'b0}}} : rounded[E+M-1:0]};
endmodule
`default_nettype wire
