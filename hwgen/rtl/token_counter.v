// Number of tokens between a producer and a consumer; put and take may coincide.
`default_nettype none
module token_counter #(
    parameter WIDTH = 2
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             put,
    input  wire             take,
    output reg  [WIDTH-1:0] count
);
    always @(posedge clk)
        if (rst) count <= {WIDTH{1'b0}};
        else if (put & ~take) count <= count + 1'b1;
        else if (take & ~put) count <= count - 1'b1;
endmodule
`default_nettype wire
