// Spreads a word of packed elements of the chosen format over the lanes of a buffer word.
// A word takes as few beats as its format needs; the last beat is the highest one of `beats`, whatever their number.
// Lanes are filled up with zeros. The bits behind the elements, TAIL_BITS of them, are the same in all formats.
// Padding, whose beats are zeros, becomes a word of the format's zeros and TAIL_PADDING.
`default_nettype none
module unpack_word #(
    parameter LANES = 8,
    parameter LANE_BITS = 8,
    parameter TAIL_BITS = 0,
    parameter PORT_BITS = 64,
    parameter BEATS = 1,
    parameter TYPES = 2,
    parameter [32*TYPES-1:0] TYPE_BITS = {32'd8, 32'd4},  // bits of an element by format, the first one lowest
    parameter [TYPES*LANE_BITS-1:0] ZEROS = 0,            // code of zero by format
    parameter [(TAIL_BITS > 0 ? TAIL_BITS : 1)-1:0] TAIL_PADDING = 0
) (
    input  wire [$clog2(TYPES)-1:0]             mode,
    input  wire                                 padding,
    input  wire [BEATS*PORT_BITS-1:0]           beats,
    output wire [LANES*LANE_BITS+TAIL_BITS-1:0] word
);
    localparam ALL = LANES * LANE_BITS;
    localparam WORD_BITS = ALL + TAIL_BITS;
    wire [TYPES*WORD_BITS-1:0] words;  // entry t: of the chosen format, if it is one of 0..t
    assign word = words[(TYPES-1)*WORD_BITS +: WORD_BITS];
    genvar t, i;
    generate
        for (t = 0; t < TYPES; t = t + 1) begin : format
            localparam [31:0] HERE = t;
            localparam integer BITS = TYPE_BITS[32*t +: 32];
            localparam USED = (LANES * BITS + TAIL_BITS + PORT_BITS - 1) / PORT_BITS;
            localparam FIRST = (BEATS - USED) * PORT_BITS;
            localparam [LANE_BITS-1:0] ZERO = ZEROS[t*LANE_BITS +: LANE_BITS];
            wire [WORD_BITS-1:0] spread;
            for (i = 0; i < LANES; i = i + 1) begin : lane
                assign spread[i*LANE_BITS +: BITS] = beats[FIRST + i*BITS +: BITS] | ({BITS{padding}} & ZERO[BITS-1:0]);
                if (BITS < LANE_BITS) begin : fill
                    assign spread[i*LANE_BITS + BITS +: LANE_BITS - BITS] = 0;
                end
            end
            if (TAIL_BITS > 0) begin : tail
                assign spread[ALL +: TAIL_BITS] =
                    beats[FIRST + LANES*BITS +: TAIL_BITS] | ({TAIL_BITS{padding}} & TAIL_PADDING);
            end
            if (t == 0) begin : first
                assign words[0 +: WORD_BITS] = spread;
            end else begin : further
                assign words[t*WORD_BITS +: WORD_BITS] =
                    mode == HERE[$clog2(TYPES)-1:0] ? spread : words[(t-1)*WORD_BITS +: WORD_BITS];
            end
        end
    endgenerate
    wire unused = &{1'b0, beats};
endmodule
`default_nettype wire
