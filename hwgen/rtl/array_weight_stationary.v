// ROWS x COLUMNS weight-stationary array. Operands and results are wavefronts: row i takes its input HOP cycles after
// row i - 1, column j its weight and its result one cycle after column j - 1.
// With the input of row 0 in cycle t, column 0 has the partial sum in t + HOP * (ROWS - 1), plus the cycles of a
// multiply-add; 2 * HOP cycles later when sums are converted.
`default_nettype none
module array_weight_stationary #(
    parameter ROWS = 8,
    parameter COLUMNS = 8,
    parameter X_BITS = 8,
    parameter W_BITS = 8,
    parameter PSUM_BITS = 24,
    parameter PRODUCT_BITS = 16,
    parameter GROWING = 0,              // 1: row i carries only the bits that i + 1 products can fill
    parameter PIPELINE = 1,
    parameter HOP = 1,                  // cycles of an addition, which lie between two rows
    parameter CONVERT = 0,              // 1: sums become terms of the accumulation type
    parameter TERM_BITS = 24,
    parameter SCALED = 0,               // 1: with block scales
    parameter SCALE_BITS = 1,
    parameter SCALE_WORDS = 1,
    parameter CODE_BITS = 8
) (
    input  wire                          clk,
    input  wire                          rst,
    input  wire                          swap,        // one cycle before the first input of a pass in row 0
    input  wire [ROWS*X_BITS-1:0]        x,
    input  wire [SCALE_BITS-1:0]         x_scale,     // of the input word, as row ROWS
    input  wire                          block_start, // with the first weight word of a block in column 0
    input  wire                          scale_word,  // with the words of a block that carry scales in column 0
    input  wire [COLUMNS*W_BITS-1:0]     w,
    output wire [COLUMNS*TERM_BITS-1:0]  result
`ifdef PSUM_TRACE
    , output wire [ROWS*COLUMNS*PSUM_BITS-1:0] trace
`endif
);
    function integer psum_bits(input integer row);
        integer products, bits;
        begin
            bits = PRODUCT_BITS;
            for (products = 1; products < row + 1; products = products * 2) bits = bits + 1;
            psum_bits = (GROWING == 0 || bits > PSUM_BITS || row < 0) ? PSUM_BITS : bits;
        end
    endfunction

    // The word for row i is the i-th of its block and moves down i rows: it is there 2i cycles after the first.
    wire [ROWS-1:0] swap_skewed, capture_skewed;
    genvar i, j;
    generate
        for (i = 0; i < ROWS; i = i + 1) begin : edge_control
            if (i == 0) begin : top
                assign swap_skewed[0] = swap;
                assign capture_skewed[0] = block_start;
            end else begin : below
                delay_line #(.CYCLES(HOP)) swap_line (
                    .clk(clk), .rst(rst), .d(swap_skewed[i-1]), .q(swap_skewed[i])
                );
                delay_line #(.CYCLES(2)) capture_line (
                    .clk(clk), .rst(rst), .d(capture_skewed[i-1]), .q(capture_skewed[i])
                );
            end
        end

        for (i = 0; i < ROWS; i = i + 1) begin : row
            localparam ABOVE_BITS = psum_bits(i - 1);
            localparam BITS = psum_bits(i);
            wire [(COLUMNS+1)*X_BITS-1:0] x_link;
            wire [COLUMNS:0] swap_link, capture_link;
            wire [COLUMNS*W_BITS-1:0] w_above, w_below;
            wire [COLUMNS*ABOVE_BITS-1:0] psum_above;
            wire [COLUMNS*BITS-1:0] psum_below;
            assign x_link[X_BITS-1:0] = x[i*X_BITS +: X_BITS];
            assign swap_link[0] = swap_skewed[i];
            assign capture_link[0] = capture_skewed[i];
            if (i == 0) begin : top
                assign w_above = w;
                assign psum_above = {COLUMNS*ABOVE_BITS{1'b0}};
            end else begin : inner
                assign w_above = row[i-1].w_below;
                assign psum_above = row[i-1].psum_below;
            end
            for (j = 0; j < COLUMNS; j = j + 1) begin : column
                pe_weight_stationary #(
                    .X_BITS(X_BITS), .W_BITS(W_BITS), .IN_BITS(ABOVE_BITS), .OUT_BITS(BITS),
                    .BYPASS(i == ROWS - 1 && SCALED == 0 && (HOP == 1 || ROWS == 1))
                ) pe (
                    .clk(clk),
                    .x_in(x_link[j*X_BITS +: X_BITS]), .x_out(x_link[(j+1)*X_BITS +: X_BITS]),
                    .swap_in(swap_link[j]), .swap_out(swap_link[j+1]),
                    .capture_in(capture_link[j]), .capture_out(capture_link[j+1]),
                    .w_in(w_above[j*W_BITS +: W_BITS]), .w_out(w_below[j*W_BITS +: W_BITS]),
                    .psum_in(psum_above[j*ABOVE_BITS +: ABOVE_BITS]), .psum_out(psum_below[j*BITS +: BITS])
                );
`ifdef PSUM_TRACE
                resize_signed #(.IN_BITS(BITS), .OUT_BITS(PSUM_BITS)) traced (
                    .d(psum_below[j*BITS +: BITS]), .q(trace[(i*COLUMNS+j)*PSUM_BITS +: PSUM_BITS])
                );
`endif
            end
            wire unused = &{1'b0, x_link[COLUMNS*X_BITS +: X_BITS], swap_link[COLUMNS], capture_link[COLUMNS]};
        end

        localparam BOTTOM_BITS = psum_bits(ROWS - 1);
        wire [COLUMNS*PSUM_BITS-1:0] bottom;
        for (j = 0; j < COLUMNS; j = j + 1) begin : widen
            resize_signed #(.IN_BITS(BOTTOM_BITS), .OUT_BITS(PSUM_BITS)) extend (
                .d(row[ROWS-1].psum_below[j*BOTTOM_BITS +: BOTTOM_BITS]), .q(bottom[j*PSUM_BITS +: PSUM_BITS])
            );
        end

        if (SCALED != 0) begin : scaled
            wire swap_below, capture_below;
            // Scales become active with their first use, not a cycle ahead.
            delay_line #(.CYCLES(HOP + 1)) swap_line (
                .clk(clk), .rst(rst), .d(swap_skewed[ROWS-1]), .q(swap_below)
            );
            delay_line #(.CYCLES(ROWS)) capture_line (
                .clk(clk), .rst(rst), .d(scale_word), .q(capture_below)
            );
            scale_row #(
                .COLUMNS(COLUMNS), .W_BITS(W_BITS), .CODE_BITS(CODE_BITS), .SCALE_BITS(SCALE_BITS),
                .SCALE_WORDS(SCALE_WORDS), .PSUM_BITS(PSUM_BITS), .TERM_BITS(TERM_BITS), .ALIGN(PIPELINE - HOP)
            ) scales (
                .clk(clk), .rst(rst), .swap(swap_below), .capture(capture_below), .x_scale(x_scale),
                .w(row[ROWS-1].w_below), .psum(bottom), .term(result)
            );
        end else begin : unscaled
            wire unused = &{
                1'b0, rst, row[ROWS-1].w_below, x_scale, scale_word, PIPELINE[0], SCALE_WORDS[0], CODE_BITS[0]
            };
            convert_row #(
                .COLUMNS(COLUMNS), .CONVERT(CONVERT), .PSUM_BITS(PSUM_BITS), .TERM_BITS(TERM_BITS),
                .SCALE_BITS(SCALE_BITS)
            ) conversion (.clk(clk), .psum(bottom), .term(result));
        end
    endgenerate
endmodule
`default_nettype wire
