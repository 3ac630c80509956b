// Fills the banks of a buffer with tiles from a memory port of fixed width and latency.
// One beat is requested every cycle; a tile starts when a bank is free, or will have been freed by the cycle
// before. Slots 0..TILE_LOOPS-1 of the loop nest walk a tile (slot 0 the beats of a word), the others the tiles.
// With PADDED, words whose image coordinates lie outside the image are written as PADDING.
`default_nettype none
module tile_loader #(
    parameter WORD_BITS = 64,
    parameter PORT_BITS = 64,
    parameter BEATS = 1,
    parameter LATENCY = 8,
    parameter BUFFER_ADDR_BITS = 8,
    parameter TILE_LOOPS = 4,
    parameter LOOPS = 12,
    parameter COUNT_BITS = 16,
    parameter MEM_ADDR_BITS = 32,
    parameter COORD_BITS = 16,
    parameter PADDED = 1,
    parameter [WORD_BITS-1:0] PADDING = 0  // the word written outside the image
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             running,
    // run-time parameters
    input  wire [LOOPS*COUNT_BITS-1:0]      last_index,
    input  wire [MEM_ADDR_BITS-1:0]         base,
    input  wire [LOOPS*MEM_ADDR_BITS-1:0]   address_increment,
    input  wire [COORD_BITS-1:0]            y_base,
    input  wire [LOOPS*COORD_BITS-1:0]      y_increment,
    input  wire [COORD_BITS-1:0]            height,
    input  wire [COORD_BITS-1:0]            x_base,
    input  wire [LOOPS*COORD_BITS-1:0]      x_increment,
    input  wire [COORD_BITS-1:0]            width,
    // memory port
    output wire                             mem_read,
    output wire [MEM_ADDR_BITS-1:0]         mem_addr,
    input  wire [PORT_BITS-1:0]             mem_data,
    // buffer
    output wire                             write,
    output wire [BUFFER_ADDR_BITS:0]        write_addr,
    output wire [WORD_BITS-1:0]             write_data,
    output wire                             write_padding, // it lies outside the image
    // banks
    output wire                             filled,    // the last word of a tile is being written
    input  wire                             released   // the reader is done with its bank
);
    wire [LOOPS:0] carry;
    wire [LOOPS-1:0] at_first, at_last;
    wire issue, tile_start, in_image;
    wire tile_end = carry[TILE_LOOPS];
    reg mid_tile, finished;
    wire [1:0] banks_used;

    token_counter #(.WIDTH(2)) banks (
        .clk(clk), .rst(rst), .put(tile_start), .take(released), .count(banks_used)
    );
    assign tile_start = running & ~finished & ~mid_tile & ~banks_used[1];
    assign issue = tile_start | mid_tile;
    always @(posedge clk)
        if (rst) begin
            mid_tile <= 1'b0;
            finished <= 1'b0;
        end else if (issue) begin
            mid_tile <= ~tile_end;
            finished <= carry[LOOPS];
        end

    loop_nest #(.LOOPS(LOOPS), .COUNT_BITS(COUNT_BITS)) nest (
        .clk(clk), .rst(rst), .step(issue), .last_index(last_index),
        .at_first(at_first), .at_last(at_last), .carry(carry)
    );
    affine_address #(.LOOPS(LOOPS), .ADDR_BITS(MEM_ADDR_BITS)) address (
        .clk(clk), .rst(rst), .step(issue), .carry(carry), .base(base),
        .address_increment(address_increment), .value(mem_addr)
    );
    generate
        if (PADDED != 0) begin : padding
            wire [COORD_BITS-1:0] y, x;
            affine_address #(.LOOPS(LOOPS), .ADDR_BITS(COORD_BITS)) row (
                .clk(clk), .rst(rst), .step(issue), .carry(carry), .base(y_base),
                .address_increment(y_increment), .value(y)
            );
            affine_address #(.LOOPS(LOOPS), .ADDR_BITS(COORD_BITS)) column (
                .clk(clk), .rst(rst), .step(issue), .carry(carry), .base(x_base),
                .address_increment(x_increment), .value(x)
            );
            assign in_image = (y < height) & (x < width);  // negative coordinates are large unsigned ones
        end else begin : dense
            assign in_image = 1'b1;
            wire unused = &{1'b0, y_base, y_increment, height, x_base, x_increment, width};
        end
    endgenerate
    assign mem_read = issue & in_image;
    wire unused_nest = &{1'b0, at_first, at_last[LOOPS-1:1], banks_used[0]};

    // Response side: what was asked LATENCY cycles ago.
    wire arrived, arrived_in_image, arrived_word_end, arrived_tile_end;
    delay_line #(.WIDTH(4), .CYCLES(LATENCY)) flight (
        .clk(clk), .rst(rst), .d({issue, in_image, at_last[0], tile_end}),
        .q({arrived, arrived_in_image, arrived_word_end, arrived_tile_end})
    );
    wire [WORD_BITS-1:0] read_word;
    assign write_data = arrived_in_image ? read_word : PADDING;
    generate
        if (BEATS == 1) begin : whole
            assign read_word = mem_data[WORD_BITS-1:0];
            if (PORT_BITS > WORD_BITS) begin : wide
                wire unused = &{1'b0, mem_data[PORT_BITS-1:WORD_BITS]};
            end
        end else begin : assembled
            // Earlier beats wait in a shift register, the first one lowest.
            reg [(BEATS-1)*PORT_BITS-1:0] partial;
            wire [BEATS*PORT_BITS-1:0] joined = {mem_data, partial};
            assign read_word = joined[WORD_BITS-1:0];
            always @(posedge clk)
                if (arrived) partial <= joined[BEATS*PORT_BITS-1:PORT_BITS];
            if (BEATS * PORT_BITS > WORD_BITS) begin : wide
                wire unused = &{1'b0, joined[BEATS*PORT_BITS-1:WORD_BITS]};
            end
        end
    endgenerate
    reg bank;
    reg [BUFFER_ADDR_BITS-1:0] position;
    assign write = arrived & arrived_word_end;
    assign write_padding = ~arrived_in_image;
    assign filled = write & arrived_tile_end;
    assign write_addr = {bank, position};
    always @(posedge clk)
        if (rst) begin
            bank <= 1'b0;
            position <= {BUFFER_ADDR_BITS{1'b0}};
        end else if (write) begin
            bank <= bank ^ arrived_tile_end;
            position <= arrived_tile_end ? {BUFFER_ADDR_BITS{1'b0}} : position + 1'b1;
        end
endmodule
`default_nettype wire
