// Affine function of the indices of a loop nest, kept by increments.
// address_increment[i] is added when slot i advances and all slots below it restart.
`default_nettype none
module affine_address #(
    parameter LOOPS = 4,
    parameter ADDR_BITS = 16
) (
    input  wire                       clk,
    input  wire                       rst,      // take the base address
    input  wire                       step,
    input  wire [LOOPS:0]             carry,    // of the loop nest
    input  wire [ADDR_BITS-1:0]       base,
    input  wire [LOOPS*ADDR_BITS-1:0] address_increment,
    output reg  [ADDR_BITS-1:0]       value
);
    // The highest slot that carry reaches is the one that advances.
    reg [ADDR_BITS-1:0] increment;
    integer i;
    always @* begin
        increment = {ADDR_BITS{1'b0}};
        for (i = 0; i < LOOPS; i = i + 1)
            increment = increment | (address_increment[i*ADDR_BITS +: ADDR_BITS] & {ADDR_BITS{carry[i] & ~carry[i+1]}});
    end
    wire [ADDR_BITS-1:0] next;
    carry_select_adder #(.WIDTH(ADDR_BITS)) adder (.a(value), .b(increment), .sum(next));
    always @(posedge clk)
        if (rst | (step & carry[LOOPS])) value <= base;
        else if (step) value <= next;
endmodule
`default_nettype wire
