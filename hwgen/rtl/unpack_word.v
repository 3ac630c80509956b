// Spreads a word of packed elements of the chosen format over the lanes of a buffer word.
// A word takes as few beats as its format needs; the last beat is the highest one of `beats`, whatever their number.
// Lanes are filled up with zeros. The bits behind the elements, TAIL_BITS of them, are the same in all formats.
`default_nettype none
module unpack_word #(
    parameter LANES = 8,
    parameter LANE_BITS = 8,
    parameter TAIL_BITS = 0,
    parameter PORT_BITS = 64,
    parameter BEATS = 1,
    parameter TYPES = 2,
    parameter [32*TYPES-1:0] TYPE_BITS = {32'd8, 32'd4},   // bits of an element by format, the first one lowest
    parameter [TYPES*LANE_BITS-1:0] ZEROS = 0,             // code of zero by format
    parameter [LANES*LANE_BITS+TAIL_BITS-1:0] PADDING = 0  // its tail is that of a padding word
) (
    input  wire [$clog2(TYPES)-1:0]             mode,
    input  wire [BEATS*PORT_BITS-1:0]           beats,
    output wire [LANES*LANE_BITS+TAIL_BITS-1:0] word,
    output wire [LANES*LANE_BITS+TAIL_BITS-1:0] padding   // the word of an element outside the image
);
    localparam ALL = LANES * LANE_BITS;
    localparam WORD_BITS = ALL + TAIL_BITS;
    wire [TYPES*WORD_BITS-1:0] words, paddings;  // formats 0..i joined to the word of the chosen one
    assign word = words[(TYPES-1)*WORD_BITS +: WORD_BITS];
    assign padding = paddings[(TYPES-1)*WORD_BITS +: WORD_BITS];
    genvar t, i;
    generate
        for (t = 0; t < TYPES; t = t + 1) begin : format
            localparam [31:0] HERE = t;
            localparam integer BITS = TYPE_BITS[32*t +: 32];
            localparam USED = (LANES * BITS + TAIL_BITS + PORT_BITS - 1) / PORT_BITS;
            localparam FIRST = (BEATS - USED) * PORT_BITS;
            localparam [LANE_BITS-1:0] ZERO = ZEROS[t*LANE_BITS +: LANE_BITS];
            wire [WORD_BITS-1:0] spread, empty;
            for (i = 0; i < LANES; i = i + 1) begin : lane
                assign spread[i*LANE_BITS +: BITS] = beats[FIRST + i*BITS +: BITS];
                if (BITS < LANE_BITS) begin : fill
                    assign spread[i*LANE_BITS + BITS +: LANE_BITS - BITS] = 0;
                end
            end
            assign empty[ALL-1:0] = {LANES{ZERO}};
            if (TAIL_BITS != 0) begin : tail
                assign spread[ALL +: TAIL_BITS] = beats[FIRST + LANES*BITS +: TAIL_BITS];
                assign empty[ALL +: TAIL_BITS] = PADDING[ALL +: TAIL_BITS];
            end
            if (t == 0) begin : first
                assign words[0 +: WORD_BITS] = spread;
                assign paddings[0 +: WORD_BITS] = empty;
            end else begin : further
                wire chosen = mode == HERE[$clog2(TYPES)-1:0];
                assign words[t*WORD_BITS +: WORD_BITS] = chosen ? spread : words[(t-1)*WORD_BITS +: WORD_BITS];
                assign paddings[t*WORD_BITS +: WORD_BITS] = chosen ? empty : paddings[(t-1)*WORD_BITS +: WORD_BITS];
            end
        end
    endgenerate
    wire unused = &{1'b0, beats, PADDING};
endmodule
`default_nettype wire
