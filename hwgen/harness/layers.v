// Runs one layer on a generated accelerator in an event-driven simulator, for a second opinion.
// Plusargs name hex files: registers (address, value), input and weight beats, and the output beats to write. Data of
// cycles without a read are unknown, and so is every register that the accelerator does not reset.
`default_nettype none
`timescale 1ns / 1ns
module layers;
    reg clk = 1'b0, rst = 1'b1, start = 1'b0, config_write = 1'b0, counting = 1'b0;
    reg [9:0] config_address = 10'd0;
    reg [31:0] config_data = 32'd0;
    wire done, input_read, weight_read, output_write;
    wire [31:0] input_addr, weight_addr, output_addr;
    wire [`OUTPUT_PORT_BITS-1:0] output_data;

    reg [63:0] registers [0:`REGISTERS-1];
    reg [`INPUT_PORT_BITS-1:0] input_memory [0:`INPUT_BEATS-1];
    reg [`WEIGHT_PORT_BITS-1:0] weight_memory [0:`WEIGHT_BEATS-1];
    reg [`OUTPUT_PORT_BITS-1:0] output_memory [0:`OUTPUT_BEATS-1];
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
    reg [63:0] cycles = 64'd0;
    reg [8*1024-1:0] path;
    always @(posedge clk) begin
        input_flight[1] <= input_read ? input_memory[input_addr] : {`INPUT_PORT_BITS{1'bx}};
        weight_flight[1] <= weight_read ? weight_memory[weight_addr] : {`WEIGHT_PORT_BITS{1'bx}};
        for (stage = 2; stage <= `MEMORY_LATENCY; stage = stage + 1) begin
            input_flight[stage] <= input_flight[stage-1];
            weight_flight[stage] <= weight_flight[stage-1];
        end
        if (counting) begin
            cycles = cycles + 64'd1;
            if (output_write) output_memory[output_addr] = output_data;
            if (done === 1'b1 || cycles == `CYCLE_LIMIT) begin
                if ($value$plusargs("outputs=%s", path)) $writememh(path, output_memory);
                $display("done %b cycles %0d", done, cycles);
                $finish;
            end
        end
    end

    // Inputs change between the clock edges.
    initial begin
        if ($value$plusargs("registers=%s", path)) $readmemh(path, registers);
        if ($value$plusargs("inputs=%s", path)) $readmemh(path, input_memory);
        if ($value$plusargs("weights=%s", path)) $readmemh(path, weight_memory);
        for (i = 0; i < `REGISTERS; i = i + 1) begin
            @(negedge clk);
            config_write = 1'b1;
            config_address = registers[i][41:32];
            config_data = registers[i][31:0];
        end
        @(negedge clk) config_write = 1'b0;
        repeat (4) @(negedge clk);
        rst = 1'b0;
        start = 1'b1;
        @(negedge clk);
        start = 1'b0;
        counting = 1'b1;
    end
endmodule
`default_nettype wire
