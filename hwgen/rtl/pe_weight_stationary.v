// Processing element that keeps a weight. Inputs move right, weights and partial sums move down.
// The next weight waits in `shadow`: `capture` takes the one meant for this row from the passing stream, `swap` runs
// a cycle ahead of the first input of a pass and makes the waiting weight the active one without losing a cycle.
`default_nettype none
module pe_weight_stationary #(
    parameter X_BITS = 8,
    parameter W_BITS = 8,
    parameter IN_BITS = 24,
    parameter OUT_BITS = 24,
    parameter BYPASS = 0                // 1: a weight may become active in the cycle that captures it
) (
    input  wire                clk,
    input  wire [X_BITS-1:0]   x_in,
    input  wire                swap_in,
    input  wire                capture_in,
    input  wire [W_BITS-1:0]   w_in,
    input  wire [IN_BITS-1:0]  psum_in,
    output reg  [X_BITS-1:0]   x_out,
    output reg                 swap_out,
    output reg                 capture_out,
    output reg  [W_BITS-1:0]   w_out,
    output reg  [OUT_BITS-1:0] psum_out
);
    reg [W_BITS-1:0] shadow, active;
    wire [W_BITS-1:0] waiting = (BYPASS != 0 & capture_in) ? w_in : shadow;
    wire [OUT_BITS-1:0] sum;
    multiply_add #(.IN_BITS(IN_BITS), .OUT_BITS(OUT_BITS)) mac (
        .clk(clk), .x(x_in), .w(active), .addend(psum_in), .sum(sum)
    );
    always @(posedge clk) begin
        x_out <= x_in;
        swap_out <= swap_in;
        capture_out <= capture_in;
        w_out <= w_in;
        if (capture_in) shadow <= w_in;
        if (swap_in) active <= waiting;
        psum_out <= sum;
    end
endmodule
`default_nettype wire
