// COUNT run-time parameters at consecutive addresses, written over the configuration bus before a layer starts.
`default_nettype none
module config_bank #(
    parameter WIDTH = 16,
    parameter COUNT = 1,
    parameter ADDRESS = 0
) (
    input  wire                   clk,
    input  wire                   write,
    input  wire [9:0]             address,
    input  wire [31:0]            data,
    output reg  [COUNT*WIDTH-1:0] values
);
    genvar i;
    generate
        for (i = 0; i < COUNT; i = i + 1) begin : entry
            localparam [31:0] HERE = ADDRESS + i;
            always @(posedge clk)
                if (write & (address == HERE[9:0])) values[i*WIDTH +: WIDTH] <= data[WIDTH-1:0];
        end
        if (WIDTH < 32) begin : narrow
            wire unused = &{1'b0, data[31:WIDTH]};
        end
    endgenerate
endmodule
`default_nettype wire
