// Banked memory with one read and one write port; the read data appear one cycle after the address and stay.
`default_nettype none
module bank_memory #(
    parameter WIDTH = 8,
    parameter ADDR_BITS = 8,
    parameter BANK_BITS = 1
) (
    input  wire                           clk,
    input  wire                           write,
    input  wire [BANK_BITS+ADDR_BITS-1:0] write_addr,
    input  wire [WIDTH-1:0]               write_data,
    input  wire                           read,
    input  wire [BANK_BITS+ADDR_BITS-1:0] read_addr,
    output reg  [WIDTH-1:0]               read_data
);
    reg [WIDTH-1:0] words [0:(1 << (BANK_BITS+ADDR_BITS))-1];
    always @(posedge clk) begin
        if (write) words[write_addr] <= write_data;
        if (read) read_data <= words[read_addr];
    end
endmodule
`default_nettype wire
