// Splits a floating-point code into sign, significand with its hidden bit and exponent field (subnormals have
// field 1 and no hidden bit). SPECIALS: 0 none, 1 IEEE 754 (top exponent), 2 only the code of all ones is NaN.
`default_nettype none
module decode_float #(
    parameter EXPONENT_BITS = 4,
    parameter MANTISSA_BITS = 3,
    parameter SPECIALS = 1
) (
    input  wire [EXPONENT_BITS+MANTISSA_BITS:0] code,
    output wire                                 negative,
    output wire [EXPONENT_BITS-1:0]             exponent,
    output wire [MANTISSA_BITS:0]               significand,
    output wire                                 infinite,
    output wire                                 nan
);
    wire [EXPONENT_BITS-1:0] field = code[MANTISSA_BITS +: EXPONENT_BITS];
    wire [MANTISSA_BITS-1:0] mantissa = code[MANTISSA_BITS-1:0];
    wire normal = |field;
    wire top = &field;
    assign negative = code[EXPONENT_BITS+MANTISSA_BITS];
    assign exponent = normal ? field : {{(EXPONENT_BITS-1){1'b0}}, 1'b1};
    assign significand = {normal, mantissa};
    generate
        if (SPECIALS == 1) begin : ieee
            assign infinite = top & ~(|mantissa);
            assign nan = top & (|mantissa);
        end else if (SPECIALS == 2) begin : all_ones
            assign infinite = 1'b0;
            assign nan = top & (&mantissa);
        end else begin : none
            assign infinite = 1'b0;
            assign nan = 1'b0;
            wire unused = top;
        end
    endgenerate
endmodule
`default_nettype wire
