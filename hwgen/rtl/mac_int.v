// Signed multiply-add of a processing element; the sum wraps at OUT_BITS.
// PIPELINE 2 registers the product. Both terms are extended to the width of the sum, which lets synthesis merge
// product and addition.
`default_nettype none
module mac_int #(
    parameter X_BITS = 8,
    parameter W_BITS = 8,
    parameter IN_BITS = 24,
    parameter OUT_BITS = 24,
    parameter PIPELINE = 1
) (
    input  wire                clk,
    input  wire [X_BITS-1:0]   x,
    input  wire [W_BITS-1:0]   w,
    input  wire [IN_BITS-1:0]  addend,   // one cycle later than x and w when PIPELINE is 2
    output wire [OUT_BITS-1:0] sum
);
    localparam PRODUCT_BITS = X_BITS + W_BITS;
    // Operands of one width; synthesis takes the copies of the sign out again.
    wire signed [PRODUCT_BITS-1:0] wide_x = $signed({{W_BITS{x[X_BITS-1]}}, x});
    wire signed [PRODUCT_BITS-1:0] wide_w = $signed({{X_BITS{w[W_BITS-1]}}, w});
    wire signed [PRODUCT_BITS-1:0] signed_product = wide_x * wide_w;
    wire [PRODUCT_BITS-1:0] product = $unsigned(signed_product);
    wire [PRODUCT_BITS-1:0] held;
    generate
        if (PIPELINE == 1) begin : direct
            assign held = product;
            wire unused = &{1'b0, clk};
        end else begin : registered
            reg [PRODUCT_BITS-1:0] product_q;
            always @(posedge clk) product_q <= product;
            assign held = product_q;
        end
    endgenerate
    wire [OUT_BITS-1:0] wide_addend, wide_product;
    resize_signed #(.IN_BITS(IN_BITS), .OUT_BITS(OUT_BITS)) extend_addend (.d(addend), .q(wide_addend));
    resize_signed #(.IN_BITS(PRODUCT_BITS), .OUT_BITS(OUT_BITS)) extend_product (.d(held), .q(wide_product));
    assign sum = wide_addend + wide_product;
endmodule
`default_nettype wire
