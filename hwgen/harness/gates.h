// A netlist of gates, evaluated in topological order with zero delay: no glitches. Every net is a byte.
// After requests.h.

namespace {

struct Gate { uint64_t table; uint32_t in[6]; uint32_t out; };
struct FlipFlop { uint32_t d, q; };

// bank_memory.v: what is read appears with the next edge and stays; a write in the same cycle comes later.
struct Memory {
    std::vector<uint32_t> write, write_addr, write_data, read, read_addr, read_data;
    std::vector<uint8_t> words;
};

class Netlist {
  public:
    // u32 nets (0 and 1 are the constants); gates, flip-flops; memories: six pins; all as counted u32 lists but tables.
    Netlist(const char* path, uint64_t seed) : state_(seed) {
        Reader in(path);
        values.assign(in.number<uint32_t>(), 0);
        gates_.resize(in.number<uint32_t>());
        for (auto& gate : gates_) {
            gate.table = in.number<uint64_t>();
            for (auto& pin : gate.in) pin = in.number<uint32_t>();
            gate.out = in.number<uint32_t>();
        }
        flip_flops_.resize(in.number<uint32_t>());
        for (auto& flip_flop : flip_flops_) flip_flop = {in.number<uint32_t>(), in.number<uint32_t>()};
        memories_.resize(in.number<uint32_t>());
        for (auto& memory : memories_) {
            for (auto* pin : {&memory.write, &memory.write_addr, &memory.write_data, &memory.read, &memory.read_addr,
                              &memory.read_data}) *pin = in.numbers();
            memory.words.resize((size_t(1) << memory.read_addr.size()) * memory.read_data.size());
            for (auto& bit : memory.words) bit = random_bit();
        }
        ports.resize(in.number<uint32_t>());
        for (auto& port : ports) port = in.numbers();
        values[1] = 1;
        for (auto& flip_flop : flip_flops_) values[flip_flop.q] = random_bit();
        for (auto& memory : memories_) for (auto net : memory.read_data) values[net] = random_bit();
        next_.resize(flip_flops_.size());
        before_ = values;
        few_.assign(values.size(), 0);
        toggles.assign(values.size(), 0);
    }

    void set(const std::vector<uint32_t>& port, uint64_t number) {
        for (size_t i = 0; i < port.size(); ++i) values[port[i]] = i < 64 ? number >> i & 1 : 0;
    }
    void set_bytes(const std::vector<uint32_t>& port, const uint8_t* data) {
        for (size_t i = 0; i < port.size(); ++i) values[port[i]] = data[i / 8] >> i % 8 & 1;
    }
    uint64_t get(const std::vector<uint32_t>& port) const {
        uint64_t number = 0;
        for (size_t i = 0; i < port.size(); ++i) number |= uint64_t(values[port[i]]) << i;
        return number;
    }
    void get_bytes(const std::vector<uint32_t>& port, uint8_t* data) const {
        for (size_t i = 0; i < port.size(); ++i) {
            if (i % 8 == 0) data[i / 8] = 0;
            data[i / 8] |= values[port[i]] << i % 8;
        }
    }

    void settle() {
        for (const auto& gate : gates_) {
            unsigned row = 0;
            for (int i = 0; i < 6; ++i) row |= unsigned(values[gate.in[i]]) << i;
            values[gate.out] = gate.table >> row & 1;
        }
    }

    void edge() {
        for (size_t i = 0; i < flip_flops_.size(); ++i) next_[i] = values[flip_flops_[i].d];
        // Flip-flops change after the memories have seen their outputs; reads of one cycle leave together.
        std::vector<std::vector<uint8_t>> found(memories_.size());
        for (size_t m = 0; m < memories_.size(); ++m) {
            auto& memory = memories_[m];
            const size_t width = memory.read_data.size();
            if (get(memory.read)) {
                const auto* word = memory.words.data() + get(memory.read_addr) * width;
                found[m].assign(word, word + width);
            }
            if (get(memory.write)) {
                auto* word = memory.words.data() + get(memory.write_addr) * width;
                for (size_t i = 0; i < width; ++i) word[i] = values[memory.write_data[i]];
            }
        }
        for (size_t i = 0; i < flip_flops_.size(); ++i) values[flip_flops_[i].q] = next_[i];
        for (size_t m = 0; m < memories_.size(); ++m)
            for (size_t i = 0; i < found[m].size(); ++i) values[memories_[m].read_data[i]] = found[m][i];
    }

    // Begins to count with the values of now.
    void start_counting() { before_ = values; toggles.assign(values.size(), 0); few_.assign(values.size(), 0); steps_ = 0; }

    // Adds the nets that differ from the last call.
    void count() {
        const size_t nets = values.size();
        uint8_t* before = before_.data();
        uint8_t* few = few_.data();
        const uint8_t* now = values.data();
        for (size_t i = 0; i < nets; ++i) few[i] += before[i] ^ now[i];
        before_ = values;
        if (++steps_ % 255 == 0) flush();
    }
    void flush() {
        for (size_t i = 0; i < values.size(); ++i) { toggles[i] += few_[i]; few_[i] = 0; }
    }

    std::vector<uint8_t> values;
    std::vector<std::vector<uint32_t>> ports;
    std::vector<uint64_t> toggles;

  private:
    uint8_t random_bit() {  // xorshift64
        state_ ^= state_ << 13; state_ ^= state_ >> 7; state_ ^= state_ << 17;
        return state_ >> 32 & 1;
    }
    uint64_t state_;
    uint64_t steps_ = 0;
    std::vector<Gate> gates_;
    std::vector<FlipFlop> flip_flops_;
    std::vector<Memory> memories_;
    std::vector<uint8_t> next_, before_, few_;
};

}  // namespace
