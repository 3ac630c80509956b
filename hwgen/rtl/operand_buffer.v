// Operand memory of two banks whose words enter the array as a wavefront: lane i leaves i * HOP + 2 cycles after the
// read. GROUP lanes share a macro. The read moves on from macro to macro with the wavefront, so that registers skew
// only the lanes of one macro: the area grows linearly with the lanes. A bank is therefore still being read for some
// cycles after the read of its last word.
`default_nettype none
module operand_buffer #(
    parameter WEIGHTS = 0,              // 1: lanes are weights, 0: inputs
    parameter LANES = 8,
    parameter GROUP = 4,
    parameter HOP = 1,                  // cycles from lane to lane
    parameter CODE_BITS = 8,            // of an element as it is stored
    parameter LANE_BITS = 8,            // inside the array
    parameter RAW = 0,                  // 1: some words are not decoded
    parameter TAIL_BITS = 0,            // of a field behind the last lane, which leaves as it is, after the lanes
    parameter ADDR_BITS = 8,
    parameter MODE_BITS = 1
) (
    input  wire                                         clk,
    input  wire                                         rst,
    input  wire [MODE_BITS-1:0]                         mode,       // which of the formats the codes have
    input  wire                                         write,
    input  wire [ADDR_BITS:0]                           write_addr,
    input  wire [LANES*CODE_BITS+TAIL_BITS-1:0]         write_data,
    input  wire                                         read,
    input  wire [ADDR_BITS:0]                           read_addr,
    input  wire                                         read_raw,   // the word being read is not to be decoded
    output wire [LANES*LANE_BITS-1:0]                   lanes,
    output wire [(TAIL_BITS > 0 ? TAIL_BITS : 1)-1:0]   tail
);
    localparam GROUPS = (LANES + GROUP - 1) / GROUP;
    genvar g, i;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : group
            localparam HERE = (g < GROUPS - 1) ? GROUP : LANES - g * GROUP;
            localparam EXTRA = (g < GROUPS - 1) ? 0 : TAIL_BITS;
            localparam WIDTH = HERE * CODE_BITS + EXTRA;
            wire read_here, raw_here;
            wire [ADDR_BITS:0] addr_here;
            if (g == 0) begin : first
                assign {read_here, raw_here, addr_here} = {read, read_raw, read_addr};
            end else begin : after
                delay_line #(.CYCLES(GROUP * HOP)) read_line (
                    .clk(clk), .rst(rst), .d(group[g-1].read_here), .q(read_here)
                );
                delay_line #(.WIDTH(ADDR_BITS + 1), .CYCLES(GROUP * HOP), .RESET(0)) addr_line (
                    .clk(clk), .rst(rst), .d(group[g-1].addr_here), .q(addr_here)
                );
                if (RAW != 0) begin : marked
                    delay_line #(.CYCLES(GROUP * HOP), .RESET(0)) raw_line (
                        .clk(clk), .rst(rst), .d(group[g-1].raw_here), .q(raw_here)
                    );
                end else begin : unmarked
                    assign raw_here = 1'b0;
                end
            end
            wire [WIDTH-1:0] word;
            bank_memory #(.WIDTH(WIDTH), .ADDR_BITS(ADDR_BITS), .BANK_BITS(1)) memory (
                .clk(clk), .write(write), .write_addr(write_addr),
                .write_data(write_data[g*GROUP*CODE_BITS +: WIDTH]),
                .read(read_here), .read_addr(addr_here), .read_data(word)
            );
            wire raw;
            if (RAW != 0) begin : raw_word
                reg raw_q;
                always @(posedge clk) raw_q <= raw_here;
                assign raw = raw_q;
            end else begin : decoded_word
                assign raw = 1'b0;
                wire unused = raw_here;
            end
            for (i = 0; i < HERE; i = i + 1) begin : lane
                wire [CODE_BITS-1:0] code = word[i*CODE_BITS +: CODE_BITS];
                wire [LANE_BITS-1:0] decoded, value;
                if (WEIGHTS != 0) begin : weight
                    weight_decoder decoder (.mode(mode), .code(code), .lane(decoded));
                end else begin : input_operand
                    input_decoder decoder (.mode(mode), .code(code), .lane(decoded));
                end
                if (RAW != 0) begin : raw_or_decoded
                    wire [LANE_BITS+CODE_BITS-1:0] wide = {{LANE_BITS{1'b0}}, code};
                    assign value = raw ? wide[LANE_BITS-1:0] : decoded;
                    wire unused = &{1'b0, wide[LANE_BITS+CODE_BITS-1:LANE_BITS]};
                end else begin : always_decoded
                    assign value = decoded;
                    wire unused = raw;
                end
                delay_line #(.WIDTH(LANE_BITS), .CYCLES(i * HOP + 1), .RESET(0)) skew (
                    .clk(clk), .rst(rst), .d(value), .q(lanes[(g*GROUP+i)*LANE_BITS +: LANE_BITS])
                );
            end
            if (EXTRA != 0) begin : behind
                delay_line #(.WIDTH(TAIL_BITS), .CYCLES(HERE * HOP + 1), .RESET(0)) skew (
                    .clk(clk), .rst(rst), .d(word[HERE*CODE_BITS +: TAIL_BITS]), .q(tail)
                );
            end
        end
        if (TAIL_BITS == 0) begin : no_tail
            assign tail = 1'b0;
        end
    endgenerate
endmodule
`default_nettype wire
