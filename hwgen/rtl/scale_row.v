// The row below a weight-stationary array: scales the partial sums of every column and converts them.
// It works like a row of processing elements whose input is the scale of the input word and whose weight is the scale
// of the block in its column. A weight scale follows its block down the column in SCALE_WORDS words, the lowest bits
// first; `capture` marks them, `swap` makes the captured scale the active one.
`default_nettype none
module scale_row #(
    parameter COLUMNS = 8,
    parameter W_BITS = 8,               // of a weight inside the array
    parameter CODE_BITS = 8,            // what a lane of a word carries of a scale
    parameter SCALE_BITS = 8,
    parameter SCALE_WORDS = 1,
    parameter PSUM_BITS = 24,
    parameter TERM_BITS = 16,
    parameter ALIGN = 0                 // cycles from the scale of an input word to the sums of column 0
) (
    input  wire                          clk,
    input  wire                          rst,
    input  wire                          swap,
    input  wire                          capture,
    input  wire [SCALE_BITS-1:0]         x_scale,
    input  wire [COLUMNS*W_BITS-1:0]     w,
    input  wire [COLUMNS*PSUM_BITS-1:0]  psum,
    output wire [COLUMNS*TERM_BITS-1:0]  term
);
    localparam HELD_BITS = SCALE_WORDS * CODE_BITS;
    wire [(COLUMNS+1)*SCALE_BITS-1:0] x_link;
    wire [COLUMNS:0] swap_link, capture_link;
    assign x_link[SCALE_BITS-1:0] = x_scale;
    assign swap_link[0] = swap;
    assign capture_link[0] = capture;
    genvar j;
    generate
        for (j = 0; j < COLUMNS; j = j + 1) begin : column
            delay_line #(.WIDTH(SCALE_BITS + 2), .CYCLES(1)) link (
                .clk(clk), .rst(rst),
                .d({swap_link[j], capture_link[j], x_link[j*SCALE_BITS +: SCALE_BITS]}),
                .q({swap_link[j+1], capture_link[j+1], x_link[(j+1)*SCALE_BITS +: SCALE_BITS]})
            );
            reg [HELD_BITS-1:0] shadow, active;
            wire [HELD_BITS-1:0] held = swap_link[j] ? shadow : active;
            wire [CODE_BITS-1:0] word = w[j*W_BITS +: CODE_BITS];
            always @(posedge clk) active <= held;
            if (SCALE_WORDS == 1) begin : one_word
                always @(posedge clk) if (capture_link[j]) shadow <= word;
            end else begin : words
                always @(posedge clk) if (capture_link[j]) shadow <= {word, shadow[HELD_BITS-1:CODE_BITS]};
            end
            if (W_BITS > CODE_BITS) begin : wide_lane
                wire unused = &{1'b0, w[j*W_BITS + CODE_BITS +: W_BITS - CODE_BITS]};
            end
            if (HELD_BITS > SCALE_BITS) begin : spare_bits
                wire unused = &{1'b0, held[HELD_BITS-1:SCALE_BITS]};
            end
            wire [SCALE_BITS-1:0] x_aligned, w_aligned;
            delay_line #(.WIDTH(2 * SCALE_BITS), .CYCLES(ALIGN)) align (
                .clk(clk), .rst(rst), .d({x_link[j*SCALE_BITS +: SCALE_BITS], held[SCALE_BITS-1:0]}),
                .q({x_aligned, w_aligned})
            );
            convert_result converter (
                .clk(clk), .psum(psum[j*PSUM_BITS +: PSUM_BITS]), .x_scale(x_aligned), .w_scale(w_aligned),
                .term(term[j*TERM_BITS +: TERM_BITS])
            );
        end
    endgenerate
    wire unused = &{1'b0, x_link[COLUMNS*SCALE_BITS +: SCALE_BITS], swap_link[COLUMNS], capture_link[COLUMNS]};
endmodule
`default_nettype wire
