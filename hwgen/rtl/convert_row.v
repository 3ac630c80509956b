// Converts the sums of every column to terms of the accumulation type in two cycles; a wire without CONVERT.
`default_nettype none
module convert_row #(
    parameter COLUMNS = 8,
    parameter CONVERT = 0,
    parameter PSUM_BITS = 24,
    parameter TERM_BITS = 24,
    parameter SCALE_BITS = 1
) (
    input  wire                         clk,
    input  wire [COLUMNS*PSUM_BITS-1:0] psum,
    output wire [COLUMNS*TERM_BITS-1:0] term
);
    genvar j;
    generate
        if (CONVERT == 0) begin : same
            assign term = psum;
            wire unused = &{1'b0, clk, SCALE_BITS[0]};
        end else begin : converted
            for (j = 0; j < COLUMNS; j = j + 1) begin : column
                convert_result converter (
                    .clk(clk), .psum(psum[j*PSUM_BITS +: PSUM_BITS]), .x_scale({SCALE_BITS{1'b0}}),
                    .w_scale({SCALE_BITS{1'b0}}), .term(term[j*TERM_BITS +: TERM_BITS])
                );
            end
        end
    endgenerate
endmodule
`default_nettype wire
