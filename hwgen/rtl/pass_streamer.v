// Starts passes and steps through the operand words of each, one a cycle.
// Slots below STREAM_LOOPS of the loop nest walk the words of a pass, the others the passes of a tile.
`default_nettype none
module pass_streamer #(
    parameter LOOPS = 6,
    parameter STREAM_LOOPS = 2,
    parameter COUNT_BITS = 16,
    parameter PASS_CYCLES = 3,          // least distance of two pass starts
    parameter ACCUMULATION_BANKS = 2
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire                        running,
    input  wire [LOOPS*COUNT_BITS-1:0] last_index,
    input  wire [COUNT_BITS-1:0]       reduction_last_index, // tiles that share an output tile - 1
    input  wire                        tile_ready,      // the operand banks of the next tile are filled
    input  wire                        pass_ready,      // the weights of the next pass are in place
    input  wire                        output_drained,  // an accumulation bank became free
    output wire                        pass_start,      // first word of a pass
    output wire                        pass_end,        // last word of a pass
    output wire                        tile_end,        // last word of a tile
    output wire                        step,
    output wire [LOOPS:0]              carry
);
    localparam [31:0] LAST_AGE = PASS_CYCLES - 1;
    localparam [31:0] BANKS = ACCUMULATION_BANKS;
    wire [1:0] outputs_open;
    wire [LOOPS-1:0] at_first, at_last;
    wire opens_output, spaced;
    reg mid_pass, mid_tile;
    wire may_start_tile = tile_ready & ((outputs_open < BANKS[1:0]) | ~opens_output);
    assign pass_start = running & ~mid_pass & spaced & pass_ready & (mid_tile | may_start_tile);
    assign step = pass_start | mid_pass;
    assign pass_end = step & carry[STREAM_LOOPS];
    assign tile_end = step & carry[LOOPS];
    wire tile_start = pass_start & ~mid_tile;

    token_counter #(.WIDTH(2)) outputs (
        .clk(clk), .rst(rst), .put(tile_start & opens_output), .take(output_drained), .count(outputs_open)
    );
    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS)) nest (
        .clk(clk), .rst(rst), .step(step), .last_index(last_index),
        .at_first(at_first), .at_last(at_last), .carry(carry)
    );
    wire unused_reduction_last;
    cyclic_counter #(.WIDTH(COUNT_BITS)) reduction (
        .clk(clk), .rst(rst), .step(tile_end), .last(reduction_last_index), .at_first(opens_output),
        .at_last(unused_reduction_last)
    );
    wire unused_nest = &{1'b0, at_first, at_last};

    // Cycles since the latest pass start.
    reg [7:0] age;
    assign spaced = age == LAST_AGE[7:0];
    always @(posedge clk)
        if (rst) begin
            mid_pass <= 1'b0;
            mid_tile <= 1'b0;
            age <= LAST_AGE[7:0];
        end else begin
            if (step) begin
                mid_pass <= ~pass_end;
                mid_tile <= ~tile_end;
            end
            if (pass_start) age <= 8'd0;
            else if (~spaced) age <= age + 8'd1;
        end
endmodule
`default_nettype wire
