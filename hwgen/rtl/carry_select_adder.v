// Sum of two numbers whose carry runs through BLOCK bits and then from block to block: every block but the first adds
// with and without a carry and selects.
`default_nettype none
module carry_select_adder #(
    parameter WIDTH = 32,
    parameter BLOCK = 8
) (
    input  wire [WIDTH-1:0] a,
    input  wire [WIDTH-1:0] b,
    output wire [WIDTH-1:0] sum
);
    localparam BLOCKS = (WIDTH + BLOCK - 1) / BLOCK;
    wire [BLOCKS:0] carry;
    assign carry[0] = 1'b0;
    genvar i;
    generate
        for (i = 0; i < BLOCKS; i = i + 1) begin : block
            localparam HERE = (i < BLOCKS - 1) ? BLOCK : WIDTH - i * BLOCK;
            localparam [HERE:0] ONE = 1;
            wire [HERE:0] plain = {1'b0, a[i*BLOCK +: HERE]} + {1'b0, b[i*BLOCK +: HERE]};
            wire [HERE:0] chosen;
            if (i == 0) begin : first
                assign chosen = plain;
            end else begin : selecting
                wire [HERE:0] carried = {1'b0, a[i*BLOCK +: HERE]} + {1'b0, b[i*BLOCK +: HERE]} + ONE;
                assign chosen = carry[i] ? carried : plain;
            end
            assign {carry[i+1], sum[i*BLOCK +: HERE]} = chosen;
        end
    endgenerate
    wire unused = carry[BLOCKS];
endmodule
`default_nettype wire
