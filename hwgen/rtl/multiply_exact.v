// Exact product of two decoded numbers. PIPELINE 2 registers it.
`default_nettype none
module multiply_exact #(
    parameter X_SIGNIFICAND = 4,
    parameter X_EXPONENT = 4,
    parameter W_SIGNIFICAND = 4,
    parameter W_EXPONENT = 4,
    parameter EXPONENT_BITS = 5,        // of the sum of both exponents
    parameter PIPELINE = 1
) (
    input  wire                                   clk,
    input  wire                                   x_negative, x_infinite, x_nan,
    input  wire [X_EXPONENT-1:0]                  x_exponent,
    input  wire [X_SIGNIFICAND-1:0]               x_significand,
    input  wire                                   w_negative, w_infinite, w_nan,
    input  wire [W_EXPONENT-1:0]                  w_exponent,
    input  wire [W_SIGNIFICAND-1:0]               w_significand,
    output wire                                   negative, infinite, nan,
    output wire [EXPONENT_BITS-1:0]               exponent,
    output wire [X_SIGNIFICAND+W_SIGNIFICAND-1:0] significand
);
    localparam S = X_SIGNIFICAND + W_SIGNIFICAND;
    wire [S-1:0] product = {{W_SIGNIFICAND{1'b0}}, x_significand} * {{X_SIGNIFICAND{1'b0}}, w_significand};
    wire [EXPONENT_BITS-1:0] total = {{(EXPONENT_BITS-X_EXPONENT){1'b0}}, x_exponent}
                                   + {{(EXPONENT_BITS-W_EXPONENT){1'b0}}, w_exponent};
    wire any_infinite = x_infinite | w_infinite;
    wire x_zero = ~(|x_significand) & ~x_infinite;
    wire w_zero = ~(|w_significand) & ~w_infinite;
    wire bad = x_nan | w_nan | (any_infinite & (x_zero | w_zero));
    wire [S+EXPONENT_BITS+2:0] result = {x_negative ^ w_negative, any_infinite, bad, total, product};
    wire [S+EXPONENT_BITS+2:0] held;
    generate
        if (PIPELINE == 1) begin : direct
            assign held = result;
            wire unused = &{1'b0, clk};
        end else begin : registered
            reg [S+EXPONENT_BITS+2:0] result_q;
            always @(posedge clk) result_q <= result;
            assign held = result_q;
        end
    endgenerate
    assign {negative, infinite, nan, exponent, significand} = held;
endmodule
`default_nettype wire
