// Evaluates the multiply-add of a processing element on a list of operands.
//
// usage: simulator REQUEST RESPONSE. Request: u64 count, then count records (u64 psum, u32 x, u32 w); response: count
// sums, u64 each. Codes as stored in memory.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "Vgenerated.h"
#include "verilated.h"

struct Record { uint64_t psum; uint32_t x, w; };

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    std::FILE* in = std::fopen(argv[1], "rb");
    std::FILE* out = std::fopen(argv[2], "wb");
    uint64_t count = 0;
    if (!in || !out || std::fread(&count, 8, 1, in) != 1) return 3;
    std::vector<Record> records(count);
    if (std::fread(records.data(), sizeof(Record), count, in) != count) return 4;
    VerilatedContext context;
    auto top = std::make_unique<Vgenerated>(&context, "top");
    std::vector<uint64_t> sums(count);
    for (uint64_t i = 0; i < count; ++i) {
        top->x = records[i].x;
        top->w = records[i].w;
        top->addend = records[i].psum;
        for (int stage = 1; stage < PIPELINE; ++stage) {
            top->clk = 0; top->eval();
            top->clk = 1;
        }
        top->eval();
        sums[i] = top->sum;
    }
    top->final();
    std::fclose(in);
    return std::fwrite(sums.data(), 8, count, out) == count && std::fclose(out) == 0 ? 0 : 5;
}
