// ROWS x COLUMNS output-stationary array. Operands and results are wavefronts: row i takes its input one cycle after
// row i - 1, column j its weight and its result one cycle after column j - 1.
// With the last input of a pass in row 0 in cycle t, column 0 has the results, the bottom row first, in cycle
// t + ROWS + PIPELINE and the ROWS - 1 cycles that follow; two cycles later when sums are converted.
`default_nettype none
module array_output_stationary #(
    parameter ROWS = 8,
    parameter COLUMNS = 8,
    parameter X_BITS = 8,
    parameter W_BITS = 8,
    parameter PSUM_BITS = 24,
    parameter PIPELINE = 1,
    parameter CONVERT = 0,              // 1: sums become terms of the accumulation type
    parameter TERM_BITS = 24,
    parameter AHEAD = 0                 // cycles by which `valid` comes before the results of column 0
) (
    input  wire                          clk,
    input  wire                          rst,
    input  wire                          first,  // with the first and the last input of a pass in row 0
    input  wire                          last,
    input  wire [ROWS*X_BITS-1:0]        x,
    input  wire [COLUMNS*W_BITS-1:0]     w,
    output wire                          valid,
    output wire [COLUMNS*TERM_BITS-1:0]  result
`ifdef PSUM_TRACE
    , output wire [ROWS*COLUMNS*PSUM_BITS-1:0] trace
`endif
);
    wire [ROWS-1:0] first_skewed, last_skewed;
    // When the bottom row has its result, all rows start to shift down; row i goes on for i cycles.
    wire shift_start;
    delay_line #(.CYCLES(ROWS + PIPELINE - 1)) shift_delay (.clk(clk), .rst(rst), .d(last), .q(shift_start));
    reg [ROWS-1:0] shifting;
    generate
        if (ROWS == 1) begin : no_shift
            wire unused = shift_start;
            always @(posedge clk) shifting <= 1'b0;
        end else begin : shift_control
            always @(posedge clk)
                if (rst) shifting <= {ROWS{1'b0}};
                else if (shift_start) shifting <= {{(ROWS-1){1'b1}}, 1'b0};
                else shifting <= {shifting[ROWS-2:0], 1'b0};
        end
    endgenerate

    genvar i, j;
    generate
        for (i = 0; i < ROWS; i = i + 1) begin : row
            wire [(COLUMNS+1)*X_BITS-1:0] x_link;
            wire [COLUMNS:0] first_link, last_link, shift_link;
            wire [COLUMNS*W_BITS-1:0] w_above, w_below;
            wire [COLUMNS*PSUM_BITS-1:0] result_above, result_below;
            assign {first_link[0], last_link[0]} = {first_skewed[i], last_skewed[i]};
            assign x_link[X_BITS-1:0] = x[i*X_BITS +: X_BITS];
            assign shift_link[0] = shifting[i];
            if (i == 0) begin : top
                assign {first_skewed[0], last_skewed[0]} = {first, last};
                assign w_above = w;
                assign result_above = {COLUMNS*PSUM_BITS{1'b0}};
            end else begin : inner
                delay_line #(.WIDTH(2), .CYCLES(1)) marks (
                    .clk(clk), .rst(rst), .d({first_skewed[i-1], last_skewed[i-1]}),
                    .q({first_skewed[i], last_skewed[i]})
                );
                assign w_above = row[i-1].w_below;
                assign result_above = row[i-1].result_below;
            end
            for (j = 0; j < COLUMNS; j = j + 1) begin : column
                pe_output_stationary #(
                    .X_BITS(X_BITS), .W_BITS(W_BITS), .BITS(PSUM_BITS), .PIPELINE(PIPELINE)
                ) pe (
                    .clk(clk),
                    .x_in(x_link[j*X_BITS +: X_BITS]), .x_out(x_link[(j+1)*X_BITS +: X_BITS]),
                    .first_in(first_link[j]), .first_out(first_link[j+1]),
                    .last_in(last_link[j]), .last_out(last_link[j+1]),
                    .shift_in(shift_link[j]), .shift_out(shift_link[j+1]),
                    .w_in(w_above[j*W_BITS +: W_BITS]), .w_out(w_below[j*W_BITS +: W_BITS]),
                    .result_in(result_above[j*PSUM_BITS +: PSUM_BITS]),
                    .result_out(result_below[j*PSUM_BITS +: PSUM_BITS])
                );
`ifdef PSUM_TRACE
                assign trace[(i*COLUMNS+j)*PSUM_BITS +: PSUM_BITS] = pe.total;
`endif
            end
            wire unused = &{
                1'b0, x_link[COLUMNS*X_BITS +: X_BITS], first_link[COLUMNS], last_link[COLUMNS], shift_link[COLUMNS]
            };
        end
        wire unused_weights = &{1'b0, row[ROWS-1].w_below};
    endgenerate
    convert_row #(
        .COLUMNS(COLUMNS), .CONVERT(CONVERT), .PSUM_BITS(PSUM_BITS), .TERM_BITS(TERM_BITS)
    ) conversion (.clk(clk), .psum(row[ROWS-1].result_below), .term(result));

    // Result words follow each other for ROWS cycles.
    wire result_start;
    reg [7:0] remaining;
    delay_line #(.CYCLES(ROWS + PIPELINE + 2 * CONVERT - AHEAD)) result_delay (
        .clk(clk), .rst(rst), .d(last), .q(result_start)
    );
    assign valid = result_start | (remaining != 8'd0);
    always @(posedge clk)
        if (rst) remaining <= 8'd0;
        else if (result_start) remaining <= ROWS - 1;
        else if (remaining != 8'd0) remaining <= remaining - 8'd1;
endmodule
`default_nettype wire
