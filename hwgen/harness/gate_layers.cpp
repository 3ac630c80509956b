// Runs layers on the gates of an accelerator: the requests and responses of bench.h, and the transitions of every net.
//
// usage: gate_layers NETLIST REQUEST RESPONSE TOGGLES LATENCY
// Toggles, per job: u64 for every net, between the settled values of the cycles from start to done.
namespace {

enum Port { kReset, kStart, kConfigWrite, kConfigAddress, kConfigData, kInputData, kWeightData, kInputRead, kInputAddr,
            kWeightRead, kWeightAddr, kOutputWrite, kOutputAddr, kOutputData, kDone };

class Design {
  public:
    Design(Netlist& netlist, std::FILE* toggles) : netlist_(netlist), toggles_(toggles) {}
    size_t bits(Port port) const { return netlist_.ports[port].size(); }
    void control(bool reset, bool start) { set(kReset, reset); set(kStart, start); }
    void configure(bool write, uint32_t address, uint32_t data) {
        set(kConfigWrite, write);
        set(kConfigAddress, address);
        set(kConfigData, data);
    }
    void respond(const uint8_t* input, const uint8_t* weight) {
        netlist_.set_bytes(netlist_.ports[kInputData], input);
        netlist_.set_bytes(netlist_.ports[kWeightData], weight);
    }
    void settle() { netlist_.settle(); }
    void edge() { netlist_.edge(); }
    Access input() const { return {get(kInputRead) != 0, get(kInputAddr)}; }
    Access weight() const { return {get(kWeightRead) != 0, get(kWeightAddr)}; }
    Access output() const { return {get(kOutputWrite) != 0, get(kOutputAddr)}; }
    bool done() const { return get(kDone); }
    void take_output(uint8_t* to) const { netlist_.get_bytes(netlist_.ports[kOutputData], to); }
    void begins() { netlist_.start_counting(); }
    void observes() { netlist_.count(); }
    void ends() {
        netlist_.flush();
        std::fwrite(netlist_.toggles.data(), 8, netlist_.toggles.size(), toggles_);
    }

  private:
    void set(Port port, uint64_t number) { netlist_.set(netlist_.ports[port], number); }
    uint64_t get(Port port) const { return netlist_.get(netlist_.ports[port]); }
    Netlist& netlist_;
    std::FILE* toggles_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) return 2;
    Netlist netlist(argv[1], 1);  // registers start with random values: nothing may rely on them
    Reader in(argv[2]);
    std::FILE* out = std::fopen(argv[3], "wb");
    std::FILE* toggles = std::fopen(argv[4], "wb");
    if (!out || !toggles) return 3;
    Design design(netlist, toggles);
    Bench<Design>(design, design.bits(kInputData), design.bits(kWeightData), design.bits(kOutputData),
                  std::strtoul(argv[5], nullptr, 10)).run(in, out);
    const bool closed = std::fclose(out) == 0;
    return std::fclose(toggles) == 0 && closed ? 0 : 5;
}
