// Delays lane i of a word by i cycles, or by LANES-1-i when REVERSED: skews and deskews systolic wavefronts.
`default_nettype none
module triangle_delay #(
    parameter LANES = 4,
    parameter WIDTH = 8,
    parameter REVERSED = 0
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire [LANES*WIDTH-1:0] d,
    output wire [LANES*WIDTH-1:0] q
);
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            delay_line #(.WIDTH(WIDTH), .CYCLES(REVERSED != 0 ? LANES - 1 - i : i)) line (
                .clk(clk), .rst(rst), .d(d[i*WIDTH +: WIDTH]), .q(q[i*WIDTH +: WIDTH])
            );
        end
    endgenerate
endmodule
`default_nettype wire
