// Odometer of nested loops with run-time trip counts; slot 0 is the innermost loop.
// Slots count down, and whether a slot is in its first or last iteration is kept in a register, so that `carry`
// comes early in the cycle.
`default_nettype none
module loop_nest #(
    parameter LOOPS = 4,
    parameter COUNT_BITS = 16
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire                        step,     // advance the nest by one iteration
    input  wire [LOOPS*COUNT_BITS-1:0] last_index,    // iterations - 1 of every slot
    output wire [LOOPS-1:0]            at_first,
    output wire [LOOPS-1:0]            at_last,
    output wire [LOOPS:0]              carry     // carry[i]: every slot below i is in its last iteration
);
    genvar i;
    assign carry[0] = 1'b1;
    generate
        for (i = 0; i < LOOPS; i = i + 1) begin : slot
            cyclic_counter #(.WIDTH(COUNT_BITS)) counter (
                .clk(clk), .rst(rst), .step(step & carry[i]), .last(last_index[i*COUNT_BITS +: COUNT_BITS]),
                .at_first(at_first[i]), .at_last(at_last[i])
            );
            assign carry[i+1] = &at_last[i:0];
        end
    endgenerate
endmodule
`default_nettype wire
