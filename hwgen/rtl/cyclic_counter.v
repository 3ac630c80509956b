// Counts steps modulo a run-time period, downwards; the first and the last step of a period come from registers.
`default_nettype none
module cyclic_counter #(
    parameter WIDTH = 16
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             step,
    input  wire [WIDTH-1:0] last,      // period - 1
    output reg              at_first,
    output reg              at_last
);
    localparam [WIDTH-1:0] ONE = 1;
    wire single = last == {WIDTH{1'b0}};
    reg [WIDTH-1:0] remaining;
    always @(posedge clk)
        if (rst) begin
            remaining <= last;
            at_first <= 1'b1;
            at_last <= single;
        end else if (step) begin
            remaining <= at_last ? last : remaining - ONE;
            at_first <= at_last;
            at_last <= at_last ? single : remaining == ONE;
        end
endmodule
`default_nettype wire
