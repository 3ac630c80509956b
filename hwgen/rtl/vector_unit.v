// Post-processing of an output word, lane by lane: optional rectifier.
// The sign of an accumulated value is its top bit in every number format used here.
`default_nettype none
module vector_unit #(
    parameter LANES = 8,
    parameter BITS = 24
) (
    input  wire                  clk,
    input  wire                  take,
    input  wire                  rectify,
    input  wire [LANES*BITS-1:0] d,
    output reg  [LANES*BITS-1:0] q
);
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            wire [BITS-1:0] value = d[i*BITS +: BITS];
            always @(posedge clk)
                if (take) q[i*BITS +: BITS] <= (rectify & value[BITS-1]) ? {BITS{1'b0}} : value;
        end
    endgenerate
endmodule
`default_nettype wire
