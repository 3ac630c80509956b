// Sends the weight block of the next pass into the array while the current pass streams.
// A block may start in the very cycle in which the pass before it starts, so WORDS words hide behind a pass of at
// least as many cycles.
`default_nettype none
module weight_feeder #(
    parameter WORDS = 8,                // words of one block
    parameter SCALE_WORDS = 0,          // of them, the last ones, that carry scales
    parameter ADDR_BITS = 8,
    parameter COUNT_BITS = 16
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  running,
    input  wire [COUNT_BITS-1:0] pass_last_index,   // passes of a tile - 1
    input  wire [COUNT_BITS-1:0] hold_last_index,   // tiles that share a bank - 1
    input  wire                  filled,       // from the loader
    output wire                  released,     // to the loader
    input  wire                  pass_start,   // from the streamer
    output reg                   fed,          // a block waits in the array
    output wire                  block_start,  // first word of a block is being read
    output wire                  scale_word,   // a word with scales is being read
    output wire                  read,
    output wire [ADDR_BITS:0]    read_addr
);
    wire [1:0] available;
    reg ahead, mid_block, bank;
    reg [ADDR_BITS-1:0] position;
    wire word_last, pass_last, hold_last;
    assign block_start = running & ~mid_block & (available != 2'd0) & (~ahead | pass_start);
    assign read = block_start | mid_block;
    wire block_end = read & word_last;
    wire tile_end = block_end & pass_last;
    assign released = tile_end & hold_last;
    assign read_addr = {bank, position};

    token_counter #(.WIDTH(2)) banks (.clk(clk), .rst(rst), .put(filled), .take(released), .count(available));
    generate
        if (WORDS == 1) begin : single
            assign word_last = 1'b1;
            assign scale_word = 1'b0;
        end else begin : several
            localparam [31:0] LAST_WORD = WORDS - 1;
            reg [7:0] word;
            assign word_last = word == LAST_WORD[7:0];
            if (SCALE_WORDS == 0) begin : unscaled
                assign scale_word = 1'b0;
            end else begin : scaled
                localparam [31:0] FIRST_SCALE = WORDS - SCALE_WORDS;
                assign scale_word = read & (word >= FIRST_SCALE[7:0]);
            end
            always @(posedge clk)
                if (rst) word <= 8'd0;
                else if (read) word <= word_last ? 8'd0 : word + 8'd1;
        end
    endgenerate
    wire unused_first_pass, unused_first_tile;
    cyclic_counter #(.WIDTH(COUNT_BITS)) passes (
        .clk(clk), .rst(rst), .step(block_end), .last(pass_last_index),
        .at_first(unused_first_pass), .at_last(pass_last)
    );
    cyclic_counter #(.WIDTH(COUNT_BITS)) tiles (
        .clk(clk), .rst(rst), .step(tile_end), .last(hold_last_index), .at_first(unused_first_tile), .at_last(hold_last)
    );
    always @(posedge clk)
        if (rst) begin
            ahead <= 1'b0;
            fed <= 1'b0;
            mid_block <= 1'b0;
            bank <= 1'b0;
            position <= {ADDR_BITS{1'b0}};
        end else begin
            ahead <= block_start | (ahead & ~pass_start);
            fed <= block_end | (fed & ~pass_start);
            mid_block <= read & ~word_last;
            bank <= bank ^ released;
            if (read) position <= tile_end ? {ADDR_BITS{1'b0}} : position + 1'b1;
        end
endmodule
`default_nettype wire
