// Runs layers on a generated accelerator: bench.h states requests and responses.
//
// usage: simulator REQUEST RESPONSE [TRACE]
// TRACE (builds with PSUM_TRACE): per cycle of a layer one byte `step` and the partial sums of the array.

#include "Vgenerated.h"
#include "verilated.h"

namespace {

class Design {
  public:
    explicit Design(const char* trace) {
        context_.randReset(2);  // registers start with random values: nothing may rely on them
        context_.randSeed(1);
        top_ = std::make_unique<Vgenerated>(&context_, "top");
        top_->clk = 0;
        if (trace) trace_ = std::fopen(trace, "wb");
    }
    ~Design() {
        top_->final();
        if (trace_) std::fclose(trace_);
    }
    void control(bool reset, bool start) { top_->rst = reset; top_->start = start; }
    void configure(bool write, uint32_t address, uint32_t data) {
        top_->config_write = write;
        top_->config_address = address;
        top_->config_data = data;
    }
    void respond(const uint8_t* input, const uint8_t* weight) {
        drive(input, INPUT_PORT_BITS, top_->input_data);
        drive(weight, WEIGHT_PORT_BITS, top_->weight_data);
    }
    void settle() { top_->eval(); }
    void edge() { top_->clk = 1; top_->eval(); top_->clk = 0; }
    Access input() const { return {bool(top_->input_read), top_->input_addr}; }
    Access weight() const { return {bool(top_->weight_read), top_->weight_addr}; }
    Access output() const { return {bool(top_->output_write), top_->output_addr}; }
    bool done() const { return top_->done; }
    void take_output(uint8_t* to) const { std::memcpy(to, &top_->output_data, (OUTPUT_PORT_BITS + 7) / 8); }
    void begins() {}
    void observes() {
#ifdef PSUM_TRACE
        if (!trace_) return;
        std::fputc(top_->trace_step, trace_);
        std::fwrite(&top_->trace_psum, 1, (size_t(ROWS) * COLUMNS * PSUM_BITS + 7) / 8, trace_);
#endif
    }
    void ends() {}

  private:
    template <class Port> static void drive(const uint8_t* from, size_t bits, Port& port) {
        std::memset(&port, 0, sizeof port);
        std::memcpy(&port, from, (bits + 7) / 8);
    }
    VerilatedContext context_;
    std::unique_ptr<Vgenerated> top_;
    std::FILE* trace_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    Reader in(argv[1]);
    std::FILE* out = std::fopen(argv[2], "wb");
    if (!out) return 3;
    Design design(argc > 3 ? argv[3] : nullptr);
    Bench<Design>(design, INPUT_PORT_BITS, WEIGHT_PORT_BITS, OUTPUT_PORT_BITS, MEMORY_LATENCY).run(in, out);
    return std::fclose(out) == 0 ? 0 : 5;
}
