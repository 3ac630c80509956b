// Odometer of nested loops with run-time trip counts; slot 0 is the innermost loop.
`default_nettype none
module loop_nest #(
    parameter LOOPS = 4,
    parameter COUNT_BITS = 16
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire                        step,     // advance the nest by one iteration
    input  wire [LOOPS*COUNT_BITS-1:0] trips,    // iterations - 1 of every slot
    output wire [LOOPS-1:0]            at_zero,
    output wire [LOOPS-1:0]            at_last,
    output wire [LOOPS:0]              carry     // carry[i]: every slot below i is in its last iteration
);
    assign carry[0] = 1'b1;
    genvar i;
    generate
        for (i = 0; i < LOOPS; i = i + 1) begin : slot
            reg [COUNT_BITS-1:0] index;
            assign at_zero[i] = index == {COUNT_BITS{1'b0}};
            assign at_last[i] = index == trips[i*COUNT_BITS +: COUNT_BITS];
            assign carry[i+1] = carry[i] & at_last[i];
            always @(posedge clk)
                if (rst) index <= {COUNT_BITS{1'b0}};
                else if (step & carry[i]) index <= at_last[i] ? {COUNT_BITS{1'b0}} : index + 1'b1;
        end
    endgenerate
endmodule
`default_nettype wire
