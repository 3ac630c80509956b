// Runs one layer on a generated accelerator in an event-driven simulator, for a second opinion.
// Macros give the protocol: RESET, IDLE, ABORT, REPEATS and SILENCE as in bench.h. Plusargs name hex files: registers
// (address, value), input and weight beats, and the output beats to write. Data of cycles without a read are unknown, the
// configuration bus is unknown when nothing is written, and so is every register that the accelerator does not reset.
`default_nettype none
`timescale 1ns / 1ns
module layers;
    localparam UNKNOWN = 2'd0, IDLE = 2'd1, LAYER = 2'd2;
    reg clk = 1'b0, rst = 1'b0, start = 1'b0, config_write = 1'b0, finished = 1'b0;
    reg [1:0] phase = UNKNOWN;
    reg [9:0] config_address;
    reg [31:0] config_data;
    wire done, input_read, weight_read, output_write;
    wire [31:0] input_addr, weight_addr, output_addr;
    wire [`OUTPUT_PORT_BITS-1:0] output_data;

    reg [63:0] registers [0:`REGISTERS-1];
    reg [`INPUT_PORT_BITS-1:0] input_memory [0:`INPUT_BEATS-1];
    reg [`WEIGHT_PORT_BITS-1:0] weight_memory [0:`WEIGHT_BEATS-1];
    reg [`OUTPUT_PORT_BITS-1:0] output_memory [0:`OUTPUT_BEATS-1];
    reg [`OUTPUT_BEATS-1:0] written;
    reg [`INPUT_PORT_BITS-1:0] input_flight [1:`MEMORY_LATENCY];
    reg [`WEIGHT_PORT_BITS-1:0] weight_flight [1:`MEMORY_LATENCY];

    generated dut (
        .clk(clk), .rst(rst), .start(start), .done(done),
        .config_write(config_write), .config_address(config_address), .config_data(config_data),
        .input_read(input_read), .input_addr(input_addr), .input_data(input_flight[`MEMORY_LATENCY]),
        .weight_read(weight_read), .weight_addr(weight_addr), .weight_data(weight_flight[`MEMORY_LATENCY]),
        .output_write(output_write), .output_addr(output_addr), .output_data(output_data)
    );
    always #1 clk = ~clk;

    integer i, stage;
    integer reads_outside = 0, writes_outside = 0, duplicate_writes = 0, missing_writes = 0, idle_accesses = 0;
    integer missing_dones = 0, extra_dones = 0, unknown_controls = 0, input_reads = 0, weight_reads = 0;
    reg [63:0] cycles = 64'd0;
    reg [8*1024-1:0] path;
    always @(posedge clk) begin
        input_flight[1] <= input_read === 1'b1 ? input_memory[input_addr] : {`INPUT_PORT_BITS{1'bx}};
        weight_flight[1] <= weight_read === 1'b1 ? weight_memory[weight_addr] : {`WEIGHT_PORT_BITS{1'bx}};
        for (stage = 2; stage <= `MEMORY_LATENCY; stage = stage + 1) begin
            input_flight[stage] <= input_flight[stage-1];
            weight_flight[stage] <= weight_flight[stage-1];
        end
        if (phase != UNKNOWN && (^{done, input_read, weight_read, output_write}) === 1'bx)
            unknown_controls = unknown_controls + 1;
        if (phase == IDLE) begin
            idle_accesses = idle_accesses + (input_read !== 1'b0) + (weight_read !== 1'b0) + (output_write !== 1'b0);
            extra_dones = extra_dones + (done !== 1'b0);
        end
        if (phase == LAYER) begin
            cycles = cycles + 64'd1;
            input_reads = input_reads + (input_read === 1'b1);
            weight_reads = weight_reads + (weight_read === 1'b1);
            reads_outside = reads_outside + (input_read === 1'b1 && (input_addr < `INPUT_BEATS) !== 1'b1)
                                          + (weight_read === 1'b1 && (weight_addr < `WEIGHT_BEATS) !== 1'b1);
            if (output_write === 1'b1) begin
                if ((output_addr < `OUTPUT_BEATS) !== 1'b1) writes_outside = writes_outside + 1;
                else begin
                    duplicate_writes = duplicate_writes + written[output_addr];
                    written[output_addr] = 1'b1;
                    output_memory[output_addr] = output_data;
                end
            end
            finished = done === 1'b1 || cycles == `CYCLE_LIMIT;
            if (finished) missing_dones = missing_dones + (done !== 1'b1);
        end
    end

    // Inputs change between the clock edges; a task ends where the next cycle begins.
    task begin_layer;
        begin
            start = 1'b1;
            written = {`OUTPUT_BEATS{1'b0}};
            for (i = 0; i < `OUTPUT_BEATS; i = i + 1) output_memory[i] = {`OUTPUT_PORT_BITS{1'bx}};
            cycles = 64'd0;
            input_reads = 0;
            weight_reads = 0;
            finished = 1'b0;
            @(negedge clk);
            start = 1'b0;
            phase = LAYER;
        end
    endtask
    task complete_layer;
        begin
            begin_layer;
            while (!finished) @(negedge clk);
            phase = IDLE;
            for (i = 0; i < `OUTPUT_BEATS; i = i + 1) missing_writes = missing_writes + !written[i];
        end
    endtask

    initial begin
        if ($value$plusargs("registers=%s", path)) $readmemh(path, registers);
        if ($value$plusargs("inputs=%s", path)) $readmemh(path, input_memory);
        if ($value$plusargs("weights=%s", path)) $readmemh(path, weight_memory);
        @(negedge clk);
        rst = 1'b1;
        repeat (`RESET) @(negedge clk) phase = IDLE;
        rst = 1'b0;
        for (i = 0; i < `REGISTERS; i = i + 1) begin
            config_write = 1'b1;
            config_address = registers[i][41:32];
            config_data = registers[i][31:0];
            @(negedge clk);
        end
        config_write = 1'b0;
        config_address = 10'bx;
        config_data = 32'bx;
        repeat (`IDLE) @(negedge clk);
        if (`ABORT > 0) begin
            begin_layer;
            repeat (`ABORT - 1) @(negedge clk);
            rst = 1'b1;
            @(negedge clk);
            rst = 1'b0;
            phase = IDLE;
            repeat (`IDLE) @(negedge clk);
        end
        repeat (`REPEATS) complete_layer;
        complete_layer;
        repeat (`SILENCE) @(negedge clk);
        if ($value$plusargs("outputs=%s", path)) $writememh(path, output_memory);
        $display(
            "done %0d cycles %0d unknown %0d reads %0d %0d errors %0d %0d %0d %0d %0d %0d %0d", missing_dones == 0, cycles,
            unknown_controls, input_reads, weight_reads, reads_outside, writes_outside, duplicate_writes, missing_writes,
            idle_accesses, missing_dones, extra_dones
        );
        $finish;
    end
endmodule
`default_nettype wire
