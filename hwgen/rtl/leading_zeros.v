// Number of leading zeros, by halving: at every step the upper half is skipped when it is all zero.
// A word of zeros gives a number of at least WIDTH.
`default_nettype none
module leading_zeros #(
    parameter WIDTH = 20,
    parameter COUNT_BITS = 5            // 2**COUNT_BITS > WIDTH
) (
    input  wire [WIDTH-1:0]      d,
    output wire [COUNT_BITS-1:0] count
);
    localparam FULL = 1 << COUNT_BITS;
    wire [FULL-1:0] padded = {d, {(FULL-WIDTH){1'b0}}};
    genvar i;
    generate
        for (i = COUNT_BITS - 1; i >= 0; i = i - 1) begin : halve
            localparam HALF = 1 << i;
            wire [2*HALF-1:0] word;
            wire [HALF-1:0] kept;
            if (i == COUNT_BITS - 1) begin : whole
                assign word = padded;
            end else begin : rest
                assign word = halve[i+1].kept;
            end
            assign count[i] = ~(|word[HALF +: HALF]);
            assign kept = count[i] ? word[HALF-1:0] : word[HALF +: HALF];
        end
        wire unused = &{1'b0, halve[0].kept};
    endgenerate
endmodule
`default_nettype wire
