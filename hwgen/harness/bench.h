// Runs layers on a design and watches its ports in every cycle. After requests.h.
//
// Request: u32 jobs; per job
//   u32 reset: cycles of reset ahead of the layer, 0 when it follows another one without;
//   u32 registers, (u32 address, u32 value)...;
//   u32 idle: cycles between the configuration and `start`;
//   u32 abort: cycles after which a reset of one cycle ends a first attempt, 0 for none;
//   u32 repeats: complete runs ahead of the one that counts, each started in the cycle after the `done` of the last;
//   u32 late start: cycle of the run in which `start` comes a second time, to no effect; 0 for none;
//   u32 silence: cycles that are watched behind `done`;
//   u32 input beats, bytes; u32 weight beats, bytes; u32 output beats; u64 cycle limit.
// Response, per job: u32 done, u64 cycles, u64 input reads, u64 weight reads, the counts of `Errors`, output bytes.
// A beat is padded to whole bytes. All numbers little endian.

namespace {

// How often a port did what it must not; the order is that of the response.
struct Errors {
    uint32_t reads_outside = 0;      // of the images
    uint32_t writes_outside = 0;
    uint32_t duplicate_writes = 0;   // to an address written before
    uint32_t missing_writes = 0;     // addresses without one at `done`
    uint32_t idle_accesses = 0;      // when no layer runs
    uint32_t missing_dones = 0;      // runs up to their cycle limit
    uint32_t extra_dones = 0;        // when no layer runs
};

struct Access {
    bool active;
    uint64_t address;
};

// `Design` has the ports of an accelerator: control, configure, respond, settle, edge, input, weight, output, done and
// take_output; and it is told of the run that counts: begins (in the cycle of `start`), observes (in every cycle of
// the layer, settled) and ends.
template <class Design> class Bench {
  public:
    Bench(Design& design, size_t input_bits, size_t weight_bits, size_t output_bits, size_t latency)
        : design_(design), bits_{input_bits, weight_bits}, output_bytes_((output_bits + 7) / 8), latency_(latency) {}

    void run(Reader& in, std::FILE* out) {
        const uint32_t jobs = in.number<uint32_t>();
        for (uint32_t job = 0; job < jobs; ++job) run_job(in, out);
    }

  private:
    void run_job(Reader& in, std::FILE* out) {
        const uint32_t reset = in.number<uint32_t>();
        const uint32_t count = in.number<uint32_t>();
        std::vector<uint32_t> registers(2 * size_t(count));
        for (auto& number : registers) number = in.number<uint32_t>();
        const uint32_t idle = in.number<uint32_t>(), abort = in.number<uint32_t>(), repeats = in.number<uint32_t>();
        const uint32_t late_start = in.number<uint32_t>(), silence = in.number<uint32_t>();
        auto port = [&](size_t bits) {
            const uint32_t beats = in.number<uint32_t>();
            return std::make_unique<ReadPort>(in.block(beats * ((bits + 7) / 8)), bits, latency_);
        };
        input_ = port(bits_[0]);
        weight_ = port(bits_[1]);
        output_beats_ = in.number<uint32_t>();
        const uint64_t limit = in.number<uint64_t>();

        errors_ = Errors();
        for (uint32_t i = 0; i < reset; ++i) {
            cycle(true, false, known_ ? kIdle : kUnknown);
            known_ = true;
        }
        for (uint32_t i = 0; i < count; ++i) {
            design_.configure(true, registers[2 * i], registers[2 * i + 1]);
            cycle(false, false, kIdle);
        }
        for (uint32_t i = 0; i < idle; ++i) rest();
        if (abort) {
            start();
            for (uint32_t i = 1; i < abort; ++i) cycle(false, false, kLayer);
            cycle(true, false, kLayer);  // What is under way in this cycle is still the layer's.
            for (uint32_t i = 0; i < idle; ++i) rest();
        }
        for (uint32_t i = 0; i < repeats; ++i) {
            start();
            complete(limit, 0);
        }
        start(true);
        const uint32_t done = complete(limit, late_start, true);
        design_.ends();
        const uint64_t cycles = cycles_, reads[] = {input_reads_, weight_reads_};
        for (uint32_t i = 0; i < silence; ++i) rest();
        std::fwrite(&done, 4, 1, out);
        std::fwrite(&cycles, 8, 1, out);
        std::fwrite(reads, 8, 2, out);
        std::fwrite(&errors_, 1, sizeof errors_, out);
        std::fwrite(output_.data(), 1, output_.size(), out);
    }

    enum Phase { kUnknown, kIdle, kLayer };

    void start(bool counts = false) {
        output_.assign(output_beats_ * output_bytes_, 0xA5);
        written_.assign(output_beats_, 0);
        input_reads_ = weight_reads_ = cycles_ = 0;
        scramble();
        cycle(false, true, kIdle, false, counts);
    }

    // Cycles from the one after `start` to that of `done`; returns whether there was one.
    bool complete(uint64_t limit, uint64_t late_start, bool counts = false) {
        bool done = false;
        while (!done && cycles_ < limit) {
            ++cycles_;
            done = cycle(false, cycles_ == late_start, kLayer, counts);
        }
        errors_.missing_dones += !done;
        for (auto count : written_) errors_.missing_writes += count == 0;
        return done;
    }

    void rest() {
        scramble();
        cycle(false, false, kIdle);
    }

    // The configuration bus carries rubbish when nothing is written.
    void scramble() {
        noise_ = noise_ * 6364136223846793005u + 1442695040888963407u;
        design_.configure(false, noise_ >> 33 & 1023, uint32_t(noise_ >> 24));
    }

    bool cycle(bool reset, bool start, Phase phase, bool observed = false, bool begins = false) {
        design_.control(reset, start);
        design_.respond(input_->respond(), weight_->respond());
        design_.settle();
        if (begins) design_.begins();
        if (observed) design_.observes();
        const Access input = design_.input(), weight = design_.weight(), output = design_.output();
        const bool input_known = input_->request(input.active, input.address);
        const bool weight_known = weight_->request(weight.active, weight.address);
        const bool done = design_.done();
        if (phase == kIdle) {
            errors_.idle_accesses += input.active + weight.active + output.active;
            errors_.extra_dones += done;
        } else if (phase == kLayer) {
            input_reads_ += input.active;
            weight_reads_ += weight.active;
            errors_.reads_outside += (input.active && !input_known) + (weight.active && !weight_known);
            if (output.active && output.address >= output_beats_) ++errors_.writes_outside;
            else if (output.active) {
                errors_.duplicate_writes += written_[output.address];
                written_[output.address] = 1;
                design_.take_output(output_.data() + output.address * output_bytes_);
            }
        }
        design_.edge();
        return done;
    }

    Design& design_;
    const size_t bits_[2], output_bytes_, latency_;
    std::unique_ptr<ReadPort> input_, weight_;
    size_t output_beats_ = 0;
    std::vector<uint8_t> output_, written_;
    uint64_t cycles_ = 0, input_reads_ = 0, weight_reads_ = 0, noise_ = 1;
    bool known_ = false;  // The design has been reset.
    Errors errors_;
};

}  // namespace
