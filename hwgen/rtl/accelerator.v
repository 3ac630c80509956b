// A systolic accelerator: two tile loaders, double-buffered operand memories, the array, an accumulation buffer and
// the drain. Every engine walks its own loop nest; they meet only in bank tokens, and nothing depends on data, so
// the cycle count is a closed function of the run-time parameters.
`default_nettype none
module accelerator #(
    parameter OUTPUT_STATIONARY = 0,
    parameter ROWS = 8,
    parameter COLUMNS = 8,
    parameter X_BITS = 8,
    parameter W_BITS = 8,
    parameter X_TYPES = 1,              // formats of an operand, of which a run-time parameter chooses one
    parameter W_TYPES = 1,
    parameter [32*X_TYPES-1:0] X_TYPE_BITS = 8,  // bits of a packed element by format; X_BITS is the widest
    parameter [32*W_TYPES-1:0] W_TYPE_BITS = 8,
    parameter X_LANE_BITS = 8,          // of operands inside the array
    parameter W_LANE_BITS = 8,
    parameter [X_TYPES*X_BITS-1:0] X_ZERO = 0,  // code of an input zero by format
    parameter PRODUCT_BITS = 16,
    parameter PSUM_BITS = 24,
    parameter ACCUMULATION_BITS = 24,
    parameter CONVERT = 0,              // 1: results of a pass become terms of the accumulation type
    parameter TERM_BITS = 24,           // of what a pass adds to the accumulation buffer
    parameter SCALED = 0,               // 1: input words and weight blocks carry block scales
    parameter SCALE_BITS = 1,
    parameter SCALE_WORDS = 0,          // of a weight block
    parameter SCALE_PART_BITS = 8,      // of a scale in a lane of a weight word
    parameter SCALE_ONE = 0,            // code of scale 1
    parameter PIPELINE = 1,
    parameter ADD_CYCLES = 1,           // of a rounded addition
    parameter GROWING = 0,
    parameter INPUT_ADDR_BITS = 8,
    parameter WEIGHT_ADDR_BITS = 8,
    parameter ACCUMULATION_ADDR_BITS = 8,
    parameter ACCUMULATION_BANK_BITS = 1,
    parameter INPUT_PORT_BITS = 64,
    parameter WEIGHT_PORT_BITS = 64,
    parameter OUTPUT_PORT_BITS = 64,
    parameter MEMORY_LATENCY = 8,
    parameter LANE_GROUP = 4            // rows or columns that share a macro
) (
    input  wire                         clk,
    input  wire                         rst,
    input  wire                         start,         // once the run-time parameters are written
    output wire                         done,          // with the last output beat; `start` may come a cycle later
    // configuration bus
    input  wire                         config_write,
    input  wire [9:0]                   config_address,
    input  wire [31:0]                  config_data,
    // memory ports
    output wire                         input_read,
    output wire [31:0]                  input_addr,
    input  wire [INPUT_PORT_BITS-1:0]   input_data,
    output wire                         weight_read,
    output wire [31:0]                  weight_addr,
    input  wire [WEIGHT_PORT_BITS-1:0]  weight_data,
    output wire                         output_write,
    output wire [31:0]                  output_addr,
    output wire [OUTPUT_PORT_BITS-1:0]  output_data
`ifdef PSUM_TRACE
    , output wire                                trace_step
    , output wire [ROWS*COLUMNS*PSUM_BITS-1:0]   trace_psum
`endif
);
    localparam COUNT_W = 16;  // bits of a last index (iterations - 1) or a coordinate
    localparam ADDR_W = 32;  // bits of a memory address
    localparam INPUT_ADDR_W = INPUT_ADDR_BITS;
    localparam WEIGHT_ADDR_W = WEIGHT_ADDR_BITS;
    localparam RESULT_ADDR_W = ACCUMULATION_ADDR_BITS;
    localparam RESULT_BANK_W = ACCUMULATION_BANK_BITS;
    localparam INPUT_WORD = ROWS * X_BITS + SCALED * SCALE_BITS;
    localparam WEIGHT_WORD = COLUMNS * W_BITS;
    localparam OUTPUT_WORD = COLUMNS * ACCUMULATION_BITS;
    localparam [X_BITS-1:0] INPUT_ZERO = X_ZERO[X_BITS-1:0];
    localparam [SCALE_BITS-1:0] UNIT_SCALE = SCALE_ONE;
    localparam [SCALE_BITS+ROWS*X_BITS-1:0] SCALED_PADDING = {UNIT_SCALE, {ROWS{INPUT_ZERO}}};
    localparam INPUT_BEATS = (INPUT_WORD + INPUT_PORT_BITS - 1) / INPUT_PORT_BITS;
    localparam WEIGHT_BEATS = (WEIGHT_WORD + WEIGHT_PORT_BITS - 1) / WEIGHT_PORT_BITS;
    // Of several formats the loader hands over the beats of a word as they are, and zeros for padding.
    localparam INPUT_LOADED = X_TYPES > 1 ? INPUT_BEATS * INPUT_PORT_BITS : INPUT_WORD;
    localparam WEIGHT_LOADED = W_TYPES > 1 ? WEIGHT_BEATS * WEIGHT_PORT_BITS : WEIGHT_WORD;
    localparam [INPUT_LOADED+INPUT_WORD-1:0] LOADED_PADDING =
        {{INPUT_LOADED{1'b0}}, X_TYPES > 1 ? {INPUT_WORD{1'b0}} : SCALED_PADDING[INPUT_WORD-1:0]};
    localparam INPUT_MODE_W = X_TYPES > 1 ? $clog2(X_TYPES) : 1;  // bits of a choice
    localparam WEIGHT_MODE_W = W_TYPES > 1 ? $clog2(W_TYPES) : 1;
    localparam INPUT_LOOPS = 12, WEIGHT_LOOPS = 6, PASS_LOOPS = 6, OUTPUT_LOOPS = 9;

    // A layer runs from `start` to `done`; `start` clears what the one before it left, and is ignored meanwhile.
    reg running;
    wire clear = rst | (start & ~running);
    always @(posedge clk)
        if (rst) running <= 1'b0;
        else running <= running ? ~done : start;

    // Run-time parameters. hwgen/program.py holds the same address map.
    wire [INPUT_LOOPS*COUNT_W-1:0] input_last_index, input_y_increment, input_x_increment;
    wire [INPUT_LOOPS*ADDR_W-1:0] input_address_increment;
    wire [4*COUNT_W-1:0] input_image;      // width, x of the first word, height, y of the first word
    wire [WEIGHT_LOOPS*COUNT_W-1:0] weight_last_index;
    wire [WEIGHT_LOOPS*ADDR_W-1:0] weight_address_increment;
    wire [PASS_LOOPS*COUNT_W-1:0] pass_last_index, result_last_index;
    wire [PASS_LOOPS*INPUT_ADDR_W-1:0] input_read_address_increment;
    wire [PASS_LOOPS*WEIGHT_ADDR_W-1:0] weight_read_address_increment;
    wire [(PASS_LOOPS+1)*RESULT_ADDR_W-1:0] result_address_increment;  // the base address last
    wire [PASS_LOOPS-1:0] reduce_mask;
    wire [4*COUNT_W-1:0] holds;            // reduction, input hold, weight hold, passes of a tile
    wire [OUTPUT_LOOPS*COUNT_W-1:0] output_last_index;
    wire [OUTPUT_LOOPS*ADDR_W-1:0] output_address_increment;
    wire [ADDR_W-1:0] input_base;
    wire rectify;
`define CONFIG_BANK(NAME, WIDTH_, COUNT_, ADDRESS_, TARGET) \
    config_bank #(.WIDTH(WIDTH_), .COUNT(COUNT_), .ADDRESS(ADDRESS_)) NAME ( \
        .clk(clk), .write(config_write), .address(config_address), .data(config_data), .values(TARGET) \
    );
    `CONFIG_BANK(bank_input_last_index, COUNT_W, INPUT_LOOPS, 0, input_last_index)
    `CONFIG_BANK(bank_input_address_increment, ADDR_W, INPUT_LOOPS, 16, input_address_increment)
    `CONFIG_BANK(bank_input_y, COUNT_W, INPUT_LOOPS, 32, input_y_increment)
    `CONFIG_BANK(bank_input_x, COUNT_W, INPUT_LOOPS, 48, input_x_increment)
    `CONFIG_BANK(bank_input_image, COUNT_W, 4, 64, input_image)
    `CONFIG_BANK(bank_input_base, ADDR_W, 1, 72, input_base)
    `CONFIG_BANK(bank_weight_last_index, COUNT_W, WEIGHT_LOOPS, 80, weight_last_index)
    `CONFIG_BANK(bank_weight_address_increment, ADDR_W, WEIGHT_LOOPS, 96, weight_address_increment)
    `CONFIG_BANK(bank_pass_last_index, COUNT_W, PASS_LOOPS, 112, pass_last_index)
    `CONFIG_BANK(bank_input_read, INPUT_ADDR_W, PASS_LOOPS, 128, input_read_address_increment)
    `CONFIG_BANK(bank_weight_read, WEIGHT_ADDR_W, PASS_LOOPS, 144, weight_read_address_increment)
    `CONFIG_BANK(bank_result_last_index, COUNT_W, PASS_LOOPS, 160, result_last_index)
    `CONFIG_BANK(bank_result_address_increment, RESULT_ADDR_W, PASS_LOOPS + 1, 176, result_address_increment)
    `CONFIG_BANK(bank_reduce_mask, 1, PASS_LOOPS, 192, reduce_mask)
    `CONFIG_BANK(bank_holds, COUNT_W, 4, 208, holds)
    `CONFIG_BANK(bank_output_last_index, COUNT_W, OUTPUT_LOOPS, 224, output_last_index)
    `CONFIG_BANK(bank_output_address_increment, ADDR_W, OUTPUT_LOOPS, 240, output_address_increment)
    `CONFIG_BANK(bank_rectify, 1, 1, 256, rectify)
    wire [INPUT_MODE_W-1:0] input_mode;
    wire [WEIGHT_MODE_W-1:0] weight_mode;
    generate
        if (X_TYPES > 1) begin : input_types
            `CONFIG_BANK(bank_input_mode, INPUT_MODE_W, 1, 272, input_mode)
        end else begin : input_type
            assign input_mode = 1'b0;
        end
        if (W_TYPES > 1) begin : weight_types
            `CONFIG_BANK(bank_weight_mode, WEIGHT_MODE_W, 1, 273, weight_mode)
        end else begin : weight_type
            assign weight_mode = 1'b0;
        end
    endgenerate
`undef CONFIG_BANK
    wire [COUNT_W-1:0] reduction_last_index = holds[0 +: COUNT_W];
    wire [COUNT_W-1:0] input_hold = holds[COUNT_W +: COUNT_W];
    wire [COUNT_W-1:0] weight_hold = holds[2*COUNT_W +: COUNT_W];
    wire [COUNT_W-1:0] tile_passes = holds[3*COUNT_W +: COUNT_W];

    // Operand loaders and buffers.
    wire input_fill, input_filled, input_released, input_step;
    wire [INPUT_ADDR_W:0] input_fill_addr, input_step_addr;
    wire [INPUT_WORD-1:0] input_fill_data;
    wire [INPUT_LOADED-1:0] input_loaded;
    wire input_padding;
    tile_loader #(
        .WORD_BITS(INPUT_LOADED), .PORT_BITS(INPUT_PORT_BITS), .LATENCY(MEMORY_LATENCY),
        .BUFFER_ADDR_BITS(INPUT_ADDR_W),
        .BEATS(INPUT_BEATS), .TILE_LOOPS(4), .LOOPS(INPUT_LOOPS),
        .COUNT_BITS(COUNT_W), .MEM_ADDR_BITS(ADDR_W), .COORD_BITS(COUNT_W), .PADDED(1),
        .PADDING(LOADED_PADDING[INPUT_LOADED-1:0])
    ) input_loader (
        .clk(clk), .rst(clear), .running(running), .last_index(input_last_index),
        .address_increment(input_address_increment),
        .y_base(input_image[3*COUNT_W +: COUNT_W]), .y_increment(input_y_increment),
        .height(input_image[2*COUNT_W +: COUNT_W]),
        .x_base(input_image[COUNT_W +: COUNT_W]), .x_increment(input_x_increment), .width(input_image[0 +: COUNT_W]),
        .base(input_base), .mem_read(input_read), .mem_addr(input_addr), .mem_data(input_data),
        .write(input_fill), .write_addr(input_fill_addr), .write_data(input_loaded), .write_padding(input_padding),
        .filled(input_filled), .released(input_released)
    );
    generate
        if (X_TYPES > 1) begin : packed_inputs
            unpack_word #(
                .LANES(ROWS), .LANE_BITS(X_BITS), .TAIL_BITS(SCALED * SCALE_BITS), .PORT_BITS(INPUT_PORT_BITS),
                .BEATS(INPUT_BEATS), .TYPES(X_TYPES), .TYPE_BITS(X_TYPE_BITS), .ZEROS(X_ZERO),
                .TAIL_PADDING(UNIT_SCALE)
            ) unpack (
                .mode(input_mode), .padding(input_padding), .beats(input_loaded), .word(input_fill_data)
            );
        end else begin : inputs
            assign input_fill_data = input_loaded;
            wire unused = &{1'b0, input_padding, X_TYPE_BITS};
        end
    endgenerate
    wire weight_fill, weight_filled, weight_released, weight_step;
    wire [WEIGHT_ADDR_W:0] weight_fill_addr, weight_step_addr;
    wire [WEIGHT_WORD-1:0] weight_fill_data;
    wire [WEIGHT_LOADED-1:0] weight_loaded;
    wire weight_padding;  // never
    tile_loader #(
        .WORD_BITS(WEIGHT_LOADED), .PORT_BITS(WEIGHT_PORT_BITS), .LATENCY(MEMORY_LATENCY),
        .BUFFER_ADDR_BITS(WEIGHT_ADDR_W),
        .BEATS(WEIGHT_BEATS), .TILE_LOOPS(2), .LOOPS(WEIGHT_LOOPS),
        .COUNT_BITS(COUNT_W), .MEM_ADDR_BITS(ADDR_W), .COORD_BITS(1), .PADDED(0)
    ) weight_loader (
        .clk(clk), .rst(clear), .running(running), .last_index(weight_last_index),
        .base({ADDR_W{1'b0}}), .address_increment(weight_address_increment),
        .y_base(1'b0), .y_increment({WEIGHT_LOOPS{1'b0}}), .height(1'b0),
        .x_base(1'b0), .x_increment({WEIGHT_LOOPS{1'b0}}), .width(1'b0),
        .mem_read(weight_read), .mem_addr(weight_addr), .mem_data(weight_data),
        .write(weight_fill), .write_addr(weight_fill_addr), .write_data(weight_loaded), .write_padding(weight_padding),
        .filled(weight_filled), .released(weight_released)
    );
    generate
        if (W_TYPES > 1) begin : packed_weights
            unpack_word #(
                .LANES(COLUMNS), .LANE_BITS(W_BITS), .PORT_BITS(WEIGHT_PORT_BITS), .BEATS(WEIGHT_BEATS),
                .TYPES(W_TYPES), .TYPE_BITS(W_TYPE_BITS)
            ) unpack (
                .mode(weight_mode), .padding(weight_padding), .beats(weight_loaded), .word(weight_fill_data)
            );
        end else begin : weights
            assign weight_fill_data = weight_loaded;
            wire unused = &{1'b0, weight_padding, W_TYPE_BITS};
        end
    endgenerate

    // Operands as the array takes them.
    wire [ROWS*X_LANE_BITS-1:0] x;
    wire [COLUMNS*W_LANE_BITS-1:0] w;
    wire [SCALE_BITS-1:0] x_scale;
    wire reads_scale;
    wire unused_tail;
    operand_buffer #(
        .LANES(ROWS), .GROUP(LANE_GROUP), .HOP(ADD_CYCLES), .CODE_BITS(X_BITS), .LANE_BITS(X_LANE_BITS),
        .TAIL_BITS(SCALED * SCALE_BITS), .ADDR_BITS(INPUT_ADDR_W), .MODE_BITS(INPUT_MODE_W)
    ) input_buffer (
        .clk(clk), .rst(clear), .mode(input_mode),
        .write(input_fill), .write_addr(input_fill_addr), .write_data(input_fill_data),
        .read(input_step), .read_addr(input_step_addr), .read_raw(1'b0), .lanes(x), .tail(x_scale)
    );
    operand_buffer #(
        .WEIGHTS(1), .LANES(COLUMNS), .GROUP(LANE_GROUP), .CODE_BITS(W_BITS), .LANE_BITS(W_LANE_BITS), .RAW(SCALED),
        .ADDR_BITS(WEIGHT_ADDR_W), .MODE_BITS(WEIGHT_MODE_W)
    ) weight_buffer (
        .clk(clk), .rst(clear), .mode(weight_mode),
        .write(weight_fill), .write_addr(weight_fill_addr), .write_data(weight_fill_data),
        .read(weight_step), .read_addr(weight_step_addr), .read_raw(reads_scale), .lanes(w), .tail(unused_tail)
    );
    // A bank is free for the loader once its last macro has been read; the loader writes no sooner than a beat arrives.
    localparam INPUT_TAIL = (ROWS - 1) / LANE_GROUP * LANE_GROUP * ADD_CYCLES - MEMORY_LATENCY;
    localparam WEIGHT_TAIL = (COLUMNS - 1) / LANE_GROUP * LANE_GROUP - MEMORY_LATENCY;
    wire input_done, weight_done;
    delay_line #(.CYCLES(INPUT_TAIL > 0 ? INPUT_TAIL : 0)) input_release (
        .clk(clk), .rst(clear), .d(input_done), .q(input_released)
    );
    delay_line #(.CYCLES(WEIGHT_TAIL > 0 ? WEIGHT_TAIL : 0)) weight_release (
        .clk(clk), .rst(clear), .d(weight_done), .q(weight_released)
    );

    // Passes.
    wire input_available, pass_ready, tile_ready, pass_start, pass_end, tile_end, output_drained;
    wire [PASS_LOOPS:0] pass_carry;
    wire result_valid;
    wire [COLUMNS*TERM_BITS-1:0] result;
    pass_streamer #(
        .LOOPS(PASS_LOOPS), .STREAM_LOOPS(2), .COUNT_BITS(COUNT_W), .ACCUMULATION_BANKS(1 << RESULT_BANK_W),
        .PASS_CYCLES((OUTPUT_STATIONARY != 0 && ROWS > 3 + ADD_CYCLES) ? ROWS : 3 + ADD_CYCLES)
    ) streamer (
        .clk(clk), .rst(clear), .running(running), .last_index(pass_last_index),
        .reduction_last_index(reduction_last_index),
        .tile_ready(tile_ready), .pass_ready(pass_ready), .output_drained(output_drained),
        .pass_start(pass_start), .pass_end(pass_end), .tile_end(tile_end), .step(input_step), .carry(pass_carry)
    );
    operand_window #(.LOOPS(PASS_LOOPS), .COUNT_BITS(COUNT_W), .ADDR_BITS(INPUT_ADDR_W)) input_window (
        .clk(clk), .rst(clear), .address_increment(input_read_address_increment), .hold_last_index(input_hold),
        .filled(input_filled), .released(input_done), .available(input_available),
        .step(input_step), .tile_end(tile_end), .carry(pass_carry), .read_addr(input_step_addr)
    );
`ifdef PSUM_TRACE
    assign trace_step = input_step;
`endif
    // The accumulator reads two cycles before the sums of its first group of columns are whole.
    localparam FIRST_GROUP = (COLUMNS < LANE_GROUP) ? COLUMNS : LANE_GROUP;
    localparam AHEAD = 3 - FIRST_GROUP;
    generate
        if (OUTPUT_STATIONARY == 0) begin : weight_stationary
            // Marks of the words; the array takes a word two cycles after its read.
            wire block_start, swap, w_first, w_scale;
            delay_line #(.CYCLES(1)) swap_line (.clk(clk), .rst(clear), .d(pass_start), .q(swap));
            delay_line #(.WIDTH(2), .CYCLES(2)) marks_line (
                .clk(clk), .rst(clear), .d({block_start, reads_scale}), .q({w_first, w_scale})
            );
            weight_feeder #(
                .WORDS(ROWS + SCALE_WORDS), .SCALE_WORDS(SCALE_WORDS), .ADDR_BITS(WEIGHT_ADDR_W), .COUNT_BITS(COUNT_W)
            ) feeder (
                .clk(clk), .rst(clear), .running(running), .pass_last_index(tile_passes), .hold_last_index(weight_hold),
                .filled(weight_filled), .released(weight_done), .pass_start(pass_start), .fed(pass_ready),
                .block_start(block_start), .scale_word(reads_scale), .read(weight_step), .read_addr(weight_step_addr)
            );
            assign tile_ready = input_available;
            array_weight_stationary #(
                .ROWS(ROWS), .COLUMNS(COLUMNS), .X_BITS(X_LANE_BITS), .W_BITS(W_LANE_BITS), .PSUM_BITS(PSUM_BITS),
                .PRODUCT_BITS(PRODUCT_BITS), .GROWING(GROWING), .PIPELINE(PIPELINE), .HOP(ADD_CYCLES),
                .CONVERT(CONVERT), .TERM_BITS(TERM_BITS), .SCALED(SCALED), .SCALE_BITS(SCALE_BITS),
                .SCALE_WORDS(SCALED != 0 ? SCALE_WORDS : 1), .CODE_BITS(SCALE_PART_BITS)
            ) array (
                .clk(clk), .rst(clear), .swap(swap), .x(x), .x_scale(x_scale), .block_start(w_first),
                .scale_word(w_scale), .w(w), .result(result)
`ifdef PSUM_TRACE
                , .trace(trace_psum)
`endif
            );
            localparam RESULT_CYCLES = ADD_CYCLES * (ROWS - 1) + 2 + PIPELINE + 2 * CONVERT * ADD_CYCLES - AHEAD;
            delay_line #(.CYCLES(RESULT_CYCLES)) result_delay (
                .clk(clk), .rst(clear), .d(input_step), .q(result_valid)
            );
            wire unused = &{1'b0, pass_end, weight_read_address_increment};
        end else begin : output_stationary
            wire weights_available;
            wire x_first, x_last;
            delay_line #(.WIDTH(2), .CYCLES(2)) marks_line (
                .clk(clk), .rst(clear), .d({pass_start, pass_end}), .q({x_first, x_last})
            );
            operand_window #(.LOOPS(PASS_LOOPS), .COUNT_BITS(COUNT_W), .ADDR_BITS(WEIGHT_ADDR_W)) weight_window (
                .clk(clk), .rst(clear), .address_increment(weight_read_address_increment),
                .hold_last_index(weight_hold),
                .filled(weight_filled), .released(weight_done), .available(weights_available),
                .step(weight_step), .tile_end(tile_end), .carry(pass_carry), .read_addr(weight_step_addr)
            );
            assign weight_step = input_step;
            assign tile_ready = input_available & weights_available;
            assign pass_ready = 1'b1;
            array_output_stationary #(
                .ROWS(ROWS), .COLUMNS(COLUMNS), .X_BITS(X_LANE_BITS), .W_BITS(W_LANE_BITS), .PSUM_BITS(PSUM_BITS),
                .PIPELINE(PIPELINE), .CONVERT(CONVERT), .TERM_BITS(TERM_BITS), .AHEAD(AHEAD)
            ) array (
                .clk(clk), .rst(clear), .first(x_first), .last(x_last), .x(x), .w(w),
                .valid(result_valid), .result(result)
`ifdef PSUM_TRACE
                , .trace(trace_psum)
`endif
            );
            assign reads_scale = 1'b0;
            wire unused = &{
                1'b0, tile_passes, x_scale, GROWING[0], PRODUCT_BITS[0], SCALE_WORDS[0], SCALE_PART_BITS[0]
            };
        end
    endgenerate

    // Accumulation, vector unit, output.
    wire output_ready, drain_read, take;
    wire [RESULT_BANK_W+RESULT_ADDR_W-1:0] drain_addr;
    wire [OUTPUT_WORD-1:0] drain_data, output_word;
    accumulator #(
        .LANES(COLUMNS), .GROUP(LANE_GROUP), .PSUM_BITS(TERM_BITS), .BITS(ACCUMULATION_BITS), .ADD_CYCLES(ADD_CYCLES),
        .LOOPS(PASS_LOOPS), .COUNT_BITS(COUNT_W), .ADDR_BITS(RESULT_ADDR_W), .BANK_BITS(RESULT_BANK_W)
    ) accumulation (
        .clk(clk), .rst(clear), .last_index(result_last_index),
        .base(result_address_increment[PASS_LOOPS*RESULT_ADDR_W +: RESULT_ADDR_W]),
        .address_increment(result_address_increment[PASS_LOOPS*RESULT_ADDR_W-1:0]), .reduce_mask(reduce_mask),
        .reduction_last_index(reduction_last_index),
        .valid(result_valid), .psum(result), .output_ready(output_ready),
        .drain_read(drain_read), .drain_addr(drain_addr), .drain_data(drain_data)
    );
    vector_unit #(.LANES(COLUMNS), .BITS(ACCUMULATION_BITS)) vector (
        .clk(clk), .take(take), .rectify(rectify), .d(drain_data), .q(output_word)
    );
    output_drain #(
        .WORD_BITS(OUTPUT_WORD), .PORT_BITS(OUTPUT_PORT_BITS), .LOOPS(OUTPUT_LOOPS), .TILE_LOOPS(4),
        .COUNT_BITS(COUNT_W),
        .BEATS((OUTPUT_WORD + OUTPUT_PORT_BITS - 1) / OUTPUT_PORT_BITS), .ADDR_BITS(RESULT_ADDR_W),
        .BANK_BITS(RESULT_BANK_W), .MEM_ADDR_BITS(ADDR_W)
    ) drain (
        .clk(clk), .rst(clear), .last_index(output_last_index),
        .base({ADDR_W{1'b0}}), .address_increment(output_address_increment),
        .output_ready(output_ready), .drained(output_drained),
        .read(drain_read), .read_addr(drain_addr), .take(take), .word(output_word),
        .mem_write(output_write), .mem_addr(output_addr), .mem_data(output_data), .done(done)
    );
endmodule
`default_nettype wire
