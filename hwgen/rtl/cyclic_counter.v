// Counts steps modulo a run-time period.
`default_nettype none
module cyclic_counter #(
    parameter WIDTH = 16
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             step,
    input  wire [WIDTH-1:0] last,      // period - 1
    output wire             at_first,
    output wire             at_last
);
    reg [WIDTH-1:0] index;
    assign at_first = index == {WIDTH{1'b0}};
    assign at_last = index == last;
    always @(posedge clk)
        if (rst) index <= {WIDTH{1'b0}};
        else if (step) index <= at_last ? {WIDTH{1'b0}} : index + 1'b1;
endmodule
`default_nettype wire
