// Accumulation memory and adders of some columns. The result of a pass reaches lane i one cycle after lane i - 1;
// registers align the lanes with the last one. The word is read two cycles ahead, so that it comes from a register.
`default_nettype none
module accumulator_group #(
    parameter LANES = 4,
    parameter PSUM_BITS = 24,
    parameter BITS = 24,                // of an accumulated value
    parameter ADD_CYCLES = 1,
    parameter ADDR_BITS = 8,
    parameter BANK_BITS = 1
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             valid,    // two cycles before the result of the last lane
    input  wire                             first,    // the result is stored, not added
    input  wire [BANK_BITS+ADDR_BITS-1:0]   addr,
    input  wire [LANES*PSUM_BITS-1:0]       psum,
    input  wire                             drain_read,
    input  wire [BANK_BITS+ADDR_BITS-1:0]   drain_addr,
    output wire [LANES*BITS-1:0]            drain_data
);
    wire add_first, write_valid;
    wire [BANK_BITS+ADDR_BITS-1:0] write_addr;
    delay_line #(.CYCLES(2), .RESET(0)) first_line (.clk(clk), .rst(rst), .d(first), .q(add_first));
    delay_line #(.CYCLES(2 + ADD_CYCLES)) valid_line (.clk(clk), .rst(rst), .d(valid), .q(write_valid));
    delay_line #(.WIDTH(BANK_BITS + ADDR_BITS), .CYCLES(2 + ADD_CYCLES), .RESET(0)) addr_line (
        .clk(clk), .rst(rst), .d(addr), .q(write_addr)
    );
    wire [LANES*BITS-1:0] read_data, sum;
    reg [LANES*BITS-1:0] stored, write_data;
    banked_accumulation_memory #(.WIDTH(LANES*BITS), .ADDR_BITS(ADDR_BITS), .BANK_BITS(BANK_BITS)) memory (
        .clk(clk),
        .write(write_valid), .write_addr(write_addr), .write_data(write_data),
        .add_read(valid & ~first), .add_addr(addr), .add_data(read_data),
        .drain_read(drain_read), .drain_addr(drain_addr), .drain_data(drain_data)
    );
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            wire [PSUM_BITS-1:0] aligned;
            delay_line #(.WIDTH(PSUM_BITS), .CYCLES(LANES - 1 - i), .RESET(0)) deskew (
                .clk(clk), .rst(rst), .d(psum[i*PSUM_BITS +: PSUM_BITS]), .q(aligned)
            );
            accumulate_add adder (
                .clk(clk), .first(add_first), .stored(stored[i*BITS +: BITS]), .psum(aligned), .sum(sum[i*BITS +: BITS])
            );
        end
    endgenerate
    always @(posedge clk) begin
        stored <= read_data;
        write_data <= sum;
    end
endmodule
`default_nettype wire
