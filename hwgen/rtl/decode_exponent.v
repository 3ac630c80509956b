// A block scale that is a power of two: the exponent field as it is. WITH_NAN: the code of all ones is NaN.
`default_nettype none
module decode_exponent #(
    parameter BITS = 8,
    parameter WITH_NAN = 1
) (
    input  wire [BITS-1:0] code,
    output wire [BITS-1:0] exponent,
    output wire            nan
);
    assign exponent = code;
    assign nan = (WITH_NAN != 0) & (&code);
endmodule
`default_nettype wire
