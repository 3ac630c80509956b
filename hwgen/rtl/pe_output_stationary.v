// Processing element that keeps a sum. Inputs move right, weights move down; `first` and `last` mark the ends of a
// pass and travel with the input. A finished sum moves to `result`, from where the column shifts it down while the
// next pass accumulates.
`default_nettype none
module pe_output_stationary #(
    parameter X_BITS = 8,
    parameter W_BITS = 8,
    parameter BITS = 24,
    parameter PIPELINE = 1
) (
    input  wire              clk,
    input  wire [X_BITS-1:0] x_in,
    input  wire              first_in,
    input  wire              last_in,
    input  wire              shift_in,
    input  wire [W_BITS-1:0] w_in,
    input  wire [BITS-1:0]   result_in,
    output reg  [X_BITS-1:0] x_out,
    output reg               first_out,
    output reg               last_out,
    output reg               shift_out,
    output reg  [W_BITS-1:0] w_out,
    output reg  [BITS-1:0]   result_out
);
    reg [BITS-1:0] total;
    wire [BITS-1:0] sum;
    wire first, last;
    delay_line #(.WIDTH(1), .CYCLES(PIPELINE - 1)) align (.clk(clk), .rst(1'b0), .d(first_in), .q(first));
    delay_line #(.WIDTH(1), .CYCLES(PIPELINE)) finish (.clk(clk), .rst(1'b0), .d(last_in), .q(last));
    multiply_add #(.IN_BITS(BITS), .OUT_BITS(BITS)) mac (
        .clk(clk), .x(x_in), .w(w_in), .addend(first ? {BITS{1'b0}} : total), .sum(sum)
    );
    always @(posedge clk) begin
        x_out <= x_in;
        first_out <= first_in;
        last_out <= last_in;
        shift_out <= shift_in;
        w_out <= w_in;
        total <= sum;
        if (last) result_out <= total;
        else if (shift_in) result_out <= result_in;
    end
endmodule
`default_nettype wire
