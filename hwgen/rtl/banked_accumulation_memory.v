// One or two one-read-one-write memories, shared by the adder and the drain.
// With two banks each side reads its own; with one bank the sides take turns.
`default_nettype none
module banked_accumulation_memory #(
    parameter WIDTH = 8,
    parameter ADDR_BITS = 8,
    parameter BANK_BITS = 1
) (
    input  wire                           clk,
    input  wire                           write,
    input  wire [BANK_BITS+ADDR_BITS-1:0] write_addr,
    input  wire [WIDTH-1:0]               write_data,
    input  wire                           add_read,
    input  wire [BANK_BITS+ADDR_BITS-1:0] add_addr,
    output wire [WIDTH-1:0]               add_data,
    input  wire                           drain_read,
    input  wire [BANK_BITS+ADDR_BITS-1:0] drain_addr,
    output wire [WIDTH-1:0]               drain_data
);
    generate
        if (BANK_BITS == 0) begin : one
            bank_memory #(.WIDTH(WIDTH), .ADDR_BITS(ADDR_BITS), .BANK_BITS(0)) bank (
                .clk(clk), .write(write), .write_addr(write_addr), .write_data(write_data),
                .read(add_read | drain_read), .read_addr(drain_read ? drain_addr : add_addr), .read_data(add_data)
            );
            assign drain_data = add_data;
        end else begin : two
            wire [WIDTH-1:0] data [0:1];
            reg add_bank, drain_bank;
            assign add_data = data[add_bank];
            assign drain_data = data[drain_bank];
            always @(posedge clk) begin
                if (add_read) add_bank <= add_addr[ADDR_BITS];
                if (drain_read) drain_bank <= drain_addr[ADDR_BITS];
            end
            genvar b;
            for (b = 0; b < 2; b = b + 1) begin : bank
                wire adds = add_read & (add_addr[ADDR_BITS] == b[0]);
                wire drains = drain_read & (drain_addr[ADDR_BITS] == b[0]);
                bank_memory #(.WIDTH(WIDTH), .ADDR_BITS(ADDR_BITS), .BANK_BITS(0)) memory (
                    .clk(clk), .write(write & (write_addr[ADDR_BITS] == b[0])),
                    .write_addr(write_addr[ADDR_BITS-1:0]), .write_data(write_data),
                    .read(adds | drains), .read_addr(drains ? drain_addr[ADDR_BITS-1:0] : add_addr[ADDR_BITS-1:0]),
                    .read_data(data[b])
                );
            end
        end
    endgenerate
endmodule
`default_nettype wire
