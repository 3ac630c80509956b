// Runs layers on a generated accelerator: memory images in, outputs and cycle counts out.
//
// usage: simulator REQUEST RESPONSE [TRACE]
// Request: u32 jobs; per job: u32 registers, (u32 address, u32 value)...; u32 input beats, bytes; u32 weight beats,
// bytes; u32 output beats; u64 cycle limit. Response, per job: u32 done, u64 cycles, u32 stray accesses, output bytes.
// A beat is padded to whole bytes. All numbers little endian. TRACE (builds with PSUM_TRACE): per cycle one byte
// `step` and the partial sums of the array.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "Vgenerated.h"
#include "verilated.h"

namespace {

constexpr size_t kInputBytes = (INPUT_PORT_BITS + 7) / 8;
constexpr size_t kWeightBytes = (WEIGHT_PORT_BITS + 7) / 8;
constexpr size_t kOutputBytes = (OUTPUT_PORT_BITS + 7) / 8;
constexpr int kLatency = MEMORY_LATENCY;

class Reader {
  public:
    explicit Reader(const char* path) : file_(std::fopen(path, "rb")) { if (!file_) std::exit(3); }
    ~Reader() { std::fclose(file_); }
    template <class T> T number() { T value; bytes(&value, sizeof value); return value; }
    std::vector<uint8_t> block(size_t size) { std::vector<uint8_t> out(size); bytes(out.data(), size); return out; }
  private:
    void bytes(void* to, size_t size) { if (std::fread(to, 1, size, file_) != size) std::exit(4); }
    std::FILE* file_;
};

// A read port: data appear kLatency cycles after their address. In other cycles it carries rubbish.
class ReadPort {
  public:
    ReadPort(std::vector<uint8_t> memory, size_t bits)
        : memory_(std::move(memory)), beat_((bits + 7) / 8), rubbish_(beat_, 0xA5), flight_(kLatency, -1) {
        if (bits % 8) rubbish_.back() &= (1 << bits % 8) - 1;
    }
    template <class Port> void respond(Port& data) {
        const int64_t address = flight_[head_];
        std::memset(&data, 0, sizeof data);
        std::memcpy(&data, address >= 0 ? memory_.data() + address * beat_ : rubbish_.data(), beat_);
    }
    void request(bool read, uint32_t address) {
        const bool known = size_t(address) * beat_ + beat_ <= memory_.size();
        stray_ += read && !known;
        flight_[head_] = read && known ? int64_t(address) : -1;
        head_ = (head_ + 1) % kLatency;
    }
    uint32_t stray() const { return stray_; }
  private:
    std::vector<uint8_t> memory_;
    size_t beat_;
    std::vector<uint8_t> rubbish_;
    std::vector<int64_t> flight_;
    size_t head_ = 0;
    uint32_t stray_ = 0;
};

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
        ReadPort input(in.block(input_beats * kInputBytes), INPUT_PORT_BITS);
        const uint32_t weight_beats = in.number<uint32_t>();
        ReadPort weight(in.block(weight_beats * kWeightBytes), WEIGHT_PORT_BITS);
        const uint32_t output_beats = in.number<uint32_t>();
        std::vector<uint8_t> output(output_beats * kOutputBytes, 0xA5);
        const uint64_t limit = in.number<uint64_t>();

        top->rst = 0; top->start = 1; top->eval(); edge(); top->start = 0;
        uint64_t cycles = 0;
        uint32_t done = 0, stray = 0;
        while (!done && cycles < limit) {
            input.respond(top->input_data);
            weight.respond(top->weight_data);
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
