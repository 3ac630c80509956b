// Sends finished output tiles through the vector unit to the output port, one beat a cycle.
`default_nettype none
module output_drain #(
    parameter WORD_BITS = 192,
    parameter PORT_BITS = 64,
    parameter BEATS = 3,
    parameter LOOPS = 9,
    parameter TILE_LOOPS = 4,           // slots of the nest inside a tile, slot 0 the beats of a word
    parameter COUNT_BITS = 16,
    parameter ADDR_BITS = 8,
    parameter BANK_BITS = 1,
    parameter MEM_ADDR_BITS = 32
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire [LOOPS*COUNT_BITS-1:0]      last_index,
    input  wire [MEM_ADDR_BITS-1:0]         base,
    input  wire [LOOPS*MEM_ADDR_BITS-1:0]   address_increment,
    input  wire                             output_ready,
    output wire                             drained,      // the bank is free
    // accumulation buffer and vector unit
    output wire                             read,
    output wire [BANK_BITS+ADDR_BITS-1:0]   read_addr,
    output reg                              take,         // the vector unit takes the word being read
    input  wire [WORD_BITS-1:0]             word,         // its result, from the cycle after take
    // output port
    output wire                             mem_write,
    output wire [MEM_ADDR_BITS-1:0]         mem_addr,
    output wire [PORT_BITS-1:0]             mem_data,
    output wire                             done          // with the last beat of the layer
);
    wire [1:0] waiting;
    wire [LOOPS:0] carry;
    wire [LOOPS-1:0] at_first, at_last;
    wire [MEM_ADDR_BITS-1:0] addr;
    wire issue = waiting != 2'd0;
    reg [ADDR_BITS-1:0] position;
    assign drained = issue & carry[TILE_LOOPS];
    assign read = issue & at_first[0];

    token_counter #(.WIDTH(2)) tiles (.clk(clk), .rst(rst), .put(output_ready), .take(drained), .count(waiting));
    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS)) nest (
        .clk(clk), .rst(rst), .step(issue), .last_index(last_index),
        .at_first(at_first), .at_last(at_last), .carry(carry)
    );
    affine_address #(.LOOPS(LOOPS), .ADDR_BITS(MEM_ADDR_BITS)) address (
        .clk(clk), .rst(rst), .step(issue), .carry(carry), .base(base),
        .address_increment(address_increment), .value(addr)
    );
    wire unused_nest = &{1'b0, at_first, at_last};
    generate
        if (BANK_BITS == 0) begin : one_bank
            assign read_addr = position;
        end else begin : two_banks
            reg bank;
            assign read_addr = {bank, position};
            always @(posedge clk)
                if (rst) bank <= 1'b0;
                else bank <= bank ^ drained;
        end
    endgenerate
    always @(posedge clk) begin
        take <= read & ~rst;
        if (rst) position <= {ADDR_BITS{1'b0}};
        else if (issue & at_last[0]) position <= drained ? {ADDR_BITS{1'b0}} : position + 1'b1;
    end

    // Address and beat travel with the word through buffer and vector unit: two cycles.
    delay_line #(.WIDTH(MEM_ADDR_BITS + 2), .CYCLES(2)) flight (
        .clk(clk), .rst(rst), .d({issue, issue & carry[LOOPS], addr}), .q({mem_write, done, mem_addr})
    );
    generate
        if (BEATS == 1) begin : whole
            if (PORT_BITS > WORD_BITS) begin : wide
                assign mem_data = {{(PORT_BITS-WORD_BITS){1'b0}}, word};
            end else begin : exact
                assign mem_data = word;
            end
        end else begin : beats
            wire [BEATS*PORT_BITS-1:0] padded;
            if (BEATS * PORT_BITS > WORD_BITS) begin : wide
                assign padded = {{(BEATS*PORT_BITS-WORD_BITS){1'b0}}, word};
            end else begin : exact
                assign padded = word;
            end
            localparam BEAT_BITS = $clog2(BEATS);
            localparam [31:0] LAST_BEAT = BEATS - 1;
            localparam [31:0] STRIDE = PORT_BITS;
            reg [BEAT_BITS-1:0] beat;
            always @(posedge clk)
                if (rst) beat <= {BEAT_BITS{1'b0}};
                else if (mem_write) beat <= (beat == LAST_BEAT[BEAT_BITS-1:0]) ? {BEAT_BITS{1'b0}} : beat + 1'b1;
            assign mem_data = padded[{{(32-BEAT_BITS){1'b0}}, beat}*STRIDE +: PORT_BITS];
        end
    endgenerate
endmodule
`default_nettype wire
