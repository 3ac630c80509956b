// Adds the results of every pass to the accumulation buffer: read, hold, add, write, one word a cycle.
// The first result of a word is stored without reading. Slots of the nest set in REDUCE_MASK leave the word as it is.
// Results arrive as a wavefront, column j one cycle after column j - 1, and so does the address: it moves on from
// group to group of columns.
`default_nettype none
module accumulator #(
    parameter LANES = 8,
    parameter GROUP = 4,
    parameter PSUM_BITS = 24,
    parameter BITS = 24,                // of an accumulated value
    parameter ADD_CYCLES = 1,           // the last one ends in the register that is written
    parameter LOOPS = 6,
    parameter COUNT_BITS = 16,
    parameter ADDR_BITS = 8,
    parameter BANK_BITS = 1             // 1: two banks, 0: one
) (
    input  wire                                clk,
    input  wire                                rst,
    input  wire [LOOPS*COUNT_BITS-1:0]         last_index,
    input  wire [ADDR_BITS-1:0]                base,
    input  wire [LOOPS*ADDR_BITS-1:0]          address_increment,
    input  wire [LOOPS-1:0]                    reduce_mask,
    input  wire [COUNT_BITS-1:0]               reduction_last_index, // tiles that share an output tile - 1
    input  wire                                valid,           // two cycles before `psum` of the first group is whole
    input  wire [LANES*PSUM_BITS-1:0]          psum,
    output wire                                output_ready,    // the last word of an output tile is being written
    // drain side
    input  wire                                drain_read,
    input  wire [(BANK_BITS+ADDR_BITS)-1:0]    drain_addr,
    output wire [LANES*BITS-1:0]               drain_data
);
    localparam GROUPS = (LANES + GROUP - 1) / GROUP;
    localparam BANK_ADDR_W = BANK_BITS + ADDR_BITS;
    wire [LOOPS:0] carry;
    wire [LOOPS-1:0] at_first, at_last;
    wire first_tile, last_tile;
    wire tile_end = valid & carry[LOOPS];
    wire [ADDR_BITS-1:0] position;
    wire [BANK_ADDR_W-1:0] addr;
    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS)) nest (
        .clk(clk), .rst(rst), .step(valid), .last_index(last_index),
        .at_first(at_first), .at_last(at_last), .carry(carry)
    );
    affine_address #(.LOOPS(LOOPS), .ADDR_BITS(ADDR_BITS)) address (
        .clk(clk), .rst(rst), .step(valid), .carry(carry), .base(base), .address_increment(address_increment),
        .value(position)
    );
    cyclic_counter #(.WIDTH(COUNT_BITS)) reduction (
        .clk(clk), .rst(rst), .step(tile_end), .last(reduction_last_index), .at_first(first_tile), .at_last(last_tile)
    );
    wire unused_nest = &{1'b0, at_last};
    generate
        if (BANK_BITS == 0) begin : one_bank
            assign addr = position;
        end else begin : two_banks
            reg bank;
            assign addr = {bank, position};
            always @(posedge clk)
                if (rst) bank <= 1'b0;
                else bank <= bank ^ (tile_end & last_tile);
        end
    endgenerate
    wire first = first_tile & (&(at_first | ~reduce_mask));

    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : group
            localparam HERE = (g < GROUPS - 1) ? GROUP : LANES - g * GROUP;
            wire valid_here, closes_here, first_here;
            wire [BANK_ADDR_W-1:0] addr_here;
            if (g == 0) begin : leading
                assign {valid_here, closes_here, first_here, addr_here} = {valid, tile_end & last_tile, first, addr};
            end else begin : following
                delay_line #(.WIDTH(2), .CYCLES(HERE)) marks_line (
                    .clk(clk), .rst(rst), .d({group[g-1].valid_here, group[g-1].closes_here}),
                    .q({valid_here, closes_here})
                );
                delay_line #(.WIDTH(BANK_ADDR_W + 1), .CYCLES(HERE), .RESET(0)) addr_line (
                    .clk(clk), .rst(rst), .d({group[g-1].first_here, group[g-1].addr_here}), .q({first_here, addr_here})
                );
            end
            accumulator_group #(
                .LANES(HERE), .PSUM_BITS(PSUM_BITS), .BITS(BITS), .ADD_CYCLES(ADD_CYCLES), .ADDR_BITS(ADDR_BITS),
                .BANK_BITS(BANK_BITS)
            ) columns (
                .clk(clk), .rst(rst), .valid(valid_here), .first(first_here), .addr(addr_here),
                .psum(psum[g*GROUP*PSUM_BITS +: HERE*PSUM_BITS]),
                .drain_read(drain_read), .drain_addr(drain_addr), .drain_data(drain_data[g*GROUP*BITS +: HERE*BITS])
            );
        end
        delay_line #(.CYCLES(2 + ADD_CYCLES)) closing (
            .clk(clk), .rst(rst), .d(group[GROUPS-1].closes_here), .q(output_ready)
        );
    endgenerate
endmodule
`default_nettype wire
