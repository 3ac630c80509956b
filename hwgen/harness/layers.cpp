// Runs layers on a generated accelerator: memory images in, outputs and cycle counts out.
//
// usage: simulator REQUEST RESPONSE [TRACE]
// Request: u32 jobs; per job: u32 registers, (u32 address, u32 value)...; u32 input beats, bytes; u32 weight beats,
// bytes; u32 output beats; u64 cycle limit. Response, per job: u32 done, u64 cycles, u32 stray accesses, output bytes.
// A beat is padded to whole bytes. All numbers little endian. TRACE (builds with PSUM_TRACE): per cycle one byte
// `step` and the partial sums of the array.

#include "Vgenerated.h"
#include "verilated.h"

namespace {

constexpr size_t kInputBytes = (INPUT_PORT_BITS + 7) / 8;
constexpr size_t kWeightBytes = (WEIGHT_PORT_BITS + 7) / 8;
constexpr size_t kOutputBytes = (OUTPUT_PORT_BITS + 7) / 8;

template <class Port> void respond(const ReadPort& memory, size_t bytes, Port& data) {
    std::memset(&data, 0, sizeof data);
    std::memcpy(&data, memory.respond(), bytes);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    Reader in(argv[1]);
    std::FILE* out = std::fopen(argv[2], "wb");
    if (!out) return 3;
#ifdef PSUM_TRACE
    std::FILE* trace = argc > 3 ? std::fopen(argv[3], "wb") : nullptr;
#endif
    VerilatedContext context;
    context.randReset(2);  // registers start with random values: nothing may rely on them
    context.randSeed(1);
    auto top = std::make_unique<Vgenerated>(&context, "top");
    auto edge = [&] { top->clk = 1; top->eval(); top->clk = 0; };

    const uint32_t jobs = in.number<uint32_t>();
    for (uint32_t job = 0; job < jobs; ++job) {
        top->clk = 0; top->rst = 1; top->start = 0;
        const uint32_t registers = in.number<uint32_t>();
        for (uint32_t i = 0; i < registers; ++i) {
            top->config_write = 1;
            top->config_address = in.number<uint32_t>();
            top->config_data = in.number<uint32_t>();
            top->eval(); edge();
        }
        top->config_write = 0;
        for (int i = 0; i < 4; ++i) { top->eval(); edge(); }  // reset takes the base addresses
        const uint32_t input_beats = in.number<uint32_t>();
        ReadPort input(in.block(input_beats * kInputBytes), INPUT_PORT_BITS, MEMORY_LATENCY);
        const uint32_t weight_beats = in.number<uint32_t>();
        ReadPort weight(in.block(weight_beats * kWeightBytes), WEIGHT_PORT_BITS, MEMORY_LATENCY);
        const uint32_t output_beats = in.number<uint32_t>();
        std::vector<uint8_t> output(output_beats * kOutputBytes, 0xA5);
        const uint64_t limit = in.number<uint64_t>();

        top->rst = 0; top->start = 1; top->eval(); edge(); top->start = 0;
        uint64_t cycles = 0;
        uint32_t done = 0, stray = 0;
        while (!done && cycles < limit) {
            respond(input, kInputBytes, top->input_data);
            respond(weight, kWeightBytes, top->weight_data);
            top->eval();
            input.request(top->input_read, top->input_addr);
            weight.request(top->weight_read, top->weight_addr);
            if (top->output_write) {
                if (top->output_addr < output_beats)
                    std::memcpy(output.data() + top->output_addr * kOutputBytes, &top->output_data, kOutputBytes);
                else ++stray;
            }
            done = top->done;
#ifdef PSUM_TRACE
            if (trace) {
                std::fputc(top->trace_step, trace);
                std::fwrite(&top->trace_psum, 1, (size_t(ROWS) * COLUMNS * PSUM_BITS + 7) / 8, trace);
            }
#endif
            edge();
            ++cycles;
        }
        stray += input.stray() + weight.stray();
        std::fwrite(&done, 4, 1, out);
        std::fwrite(&cycles, 8, 1, out);
        std::fwrite(&stray, 4, 1, out);
        std::fwrite(output.data(), 1, output.size(), out);
    }
    top->final();
#ifdef PSUM_TRACE
    if (trace) std::fclose(trace);
#endif
    return std::fclose(out) == 0 ? 0 : 5;
}
