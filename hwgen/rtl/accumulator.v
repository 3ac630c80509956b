// Adds the results of every pass to the accumulation buffer: read, add, write, one word a cycle.
// The first result of a word is stored without reading. Slots of the nest set in REDUCE_MASK leave the word as it is.
`default_nettype none
module accumulator #(
    parameter LANES = 8,
    parameter PSUM_BITS = 24,
    parameter BITS = 24,                // of an accumulated value
    parameter LOOPS = 6,
    parameter COUNT_BITS = 16,
    parameter ADDR_BITS = 8,
    parameter BANK_BITS = 1             // 1: two banks, 0: one
) (
    input  wire                                clk,
    input  wire                                rst,
    input  wire [LOOPS*COUNT_BITS-1:0]         trips,
    input  wire [ADDR_BITS-1:0]                base,
    input  wire [LOOPS*ADDR_BITS-1:0]          jumps,
    input  wire [LOOPS-1:0]                    reduce_mask,
    input  wire [COUNT_BITS-1:0]               reduction_trips, // tiles that share an output tile - 1
    input  wire                                valid,
    input  wire [LANES*PSUM_BITS-1:0]          psum,
    output wire                                output_ready,    // the last word of an output tile is being written
    // drain side
    input  wire                                drain_read,
    input  wire [(BANK_BITS+ADDR_BITS)-1:0]    drain_addr,
    output wire [LANES*BITS-1:0]               drain_data
);
    wire [LOOPS:0] carry;
    wire [LOOPS-1:0] at_zero, at_last;
    wire first_tile, last_tile;
    wire tile_end = valid & carry[LOOPS];
    wire [ADDR_BITS-1:0] position;
    wire [BANK_BITS+ADDR_BITS-1:0] addr;
    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS)) nest (
        .clk(clk), .rst(rst), .step(valid), .trips(trips), .at_zero(at_zero), .at_last(at_last), .carry(carry)
    );
    affine_address #(.LOOPS(LOOPS), .ADDR_BITS(ADDR_BITS)) address (
        .clk(clk), .rst(rst), .step(valid), .carry(carry), .base(base), .jumps(jumps), .value(position)
    );
    cyclic_counter #(.WIDTH(COUNT_BITS)) reduction (
        .clk(clk), .rst(rst), .step(tile_end), .last(reduction_trips), .at_first(first_tile), .at_last(last_tile)
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
    wire first = first_tile & (&(at_zero | ~reduce_mask));

    // Read, add, write.
    reg add_valid, add_first, add_closes, write_valid, write_closes;
    assign output_ready = write_valid & write_closes;
    reg [BANK_BITS+ADDR_BITS-1:0] add_addr, write_addr;
    reg [LANES*PSUM_BITS-1:0] add_psum;
    reg [LANES*BITS-1:0] write_data;
    wire [LANES*BITS-1:0] stored, sum;
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            accumulate_add adder (
                .first(add_first), .stored(stored[i*BITS +: BITS]), .psum(add_psum[i*PSUM_BITS +: PSUM_BITS]),
                .sum(sum[i*BITS +: BITS])
            );
        end
    endgenerate
    always @(posedge clk) begin
        add_valid <= valid & ~rst;
        add_first <= first;
        add_closes <= tile_end & last_tile;
        add_addr <= addr;
        add_psum <= psum;
        write_valid <= add_valid & ~rst;
        write_closes <= add_closes;
        write_addr <= add_addr;
        write_data <= sum;
    end

    wire accumulate_read = valid & ~first;
    banked_accumulation_memory #(.WIDTH(LANES*BITS), .ADDR_BITS(ADDR_BITS), .BANK_BITS(BANK_BITS)) memory (
        .clk(clk),
        .write(write_valid), .write_addr(write_addr), .write_data(write_data),
        .add_read(accumulate_read), .add_addr(addr), .add_data(stored),
        .drain_read(drain_read), .drain_addr(drain_addr), .drain_data(drain_data)
    );
endmodule
`default_nettype wire
