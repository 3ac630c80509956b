// Delays a word by CYCLES clock cycles; 0 is a wire. Words that are marked valid elsewhere do without RESET.
`default_nettype none
module delay_line #(
    parameter WIDTH = 1,
    parameter CYCLES = 1,
    parameter RESET = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
);
    generate
        if (CYCLES == 0) begin : wired
            assign q = d;
            wire unused = &{1'b0, clk, rst};
        end else begin : stages
            wire clear = rst & (RESET != 0);
            reg [CYCLES*WIDTH-1:0] held;
            assign q = held[CYCLES*WIDTH-1 -: WIDTH];
            if (CYCLES == 1) begin : single
                always @(posedge clk) held <= clear ? {WIDTH{1'b0}} : d;
            end else begin : several
                always @(posedge clk)
                    held <= clear ? {CYCLES*WIDTH{1'b0}} : {held[(CYCLES-1)*WIDTH-1:0], d};
            end
        end
    endgenerate
endmodule
`default_nettype wire
