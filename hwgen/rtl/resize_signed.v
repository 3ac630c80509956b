// Sign-extends or truncates.
`default_nettype none
module resize_signed #(
    parameter IN_BITS = 16,
    parameter OUT_BITS = 24
) (
    input  wire [IN_BITS-1:0]  d,
    output wire [OUT_BITS-1:0] q
);
    generate
        if (OUT_BITS > IN_BITS) begin : extend
            assign q = {{(OUT_BITS-IN_BITS){d[IN_BITS-1]}}, d};
        end else begin : truncate
            assign q = d[OUT_BITS-1:0];
            if (OUT_BITS < IN_BITS) begin : drop
                wire unused = &{1'b0, d[IN_BITS-1:OUT_BITS]};
            end
        end
    endgenerate
endmodule
`default_nettype wire
