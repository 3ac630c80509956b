// The reader's side of a double-buffered operand: which bank is read, where, and when it is given back.
`default_nettype none
module operand_window #(
    parameter LOOPS = 6,
    parameter COUNT_BITS = 16,
    parameter ADDR_BITS = 8
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [LOOPS*ADDR_BITS-1:0] address_increment,
    input  wire [COUNT_BITS-1:0]      hold_last_index, // tiles that share a bank - 1
    input  wire                       filled,     // from the loader
    output wire                       released,   // to the loader
    output wire                       available,
    input  wire                       step,       // a word is read
    input  wire                       tile_end,   // the last one of a tile
    input  wire [LOOPS:0]             carry,      // of the reader's loop nest
    output wire [ADDR_BITS:0]         read_addr
);
    wire [1:0] banks;
    wire hold_last, unused_first;
    wire [ADDR_BITS-1:0] position;
    reg bank;
    assign available = banks != 2'd0;
    assign released = tile_end & hold_last;
    assign read_addr = {bank, position};
    token_counter #(.WIDTH(2)) tokens (.clk(clk), .rst(rst), .put(filled), .take(released), .count(banks));
    affine_address #(.LOOPS(LOOPS), .ADDR_BITS(ADDR_BITS)) address (
        .clk(clk), .rst(rst), .step(step), .carry(carry), .base({ADDR_BITS{1'b0}}),
        .address_increment(address_increment), .value(position)
    );
    cyclic_counter #(.WIDTH(COUNT_BITS)) hold (
        .clk(clk), .rst(rst), .step(tile_end), .last(hold_last_index), .at_first(unused_first), .at_last(hold_last)
    );
    always @(posedge clk)
        if (rst) bank <= 1'b0;
        else bank <= bank ^ released;
endmodule
`default_nettype wire
