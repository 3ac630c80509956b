// Runs layers on the gates of an accelerator: the requests and responses of layers.cpp, and the transitions of every net.
//
// usage: gate_layers NETLIST REQUEST RESPONSE TOGGLES
// Toggles, per job: u64 for every net, between the settled values of the cycles from start to done.
namespace {

enum Port { kReset, kStart, kConfigWrite, kConfigAddress, kConfigData, kInputData, kWeightData, kInputRead, kInputAddr,
            kWeightRead, kWeightAddr, kOutputWrite, kOutputAddr, kOutputData, kDone };

size_t bytes(const std::vector<uint32_t>& port) { return (port.size() + 7) / 8; }

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) return 2;
    Netlist netlist(argv[1], 1);  // registers start with random values: nothing may rely on them
    Reader in(argv[2]);
    std::FILE* out = std::fopen(argv[3], "wb");
    std::FILE* toggles = std::fopen(argv[4], "wb");
    const size_t latency = std::strtoul(argv[5], nullptr, 10);
    if (!out || !toggles) return 3;
    const auto& port = netlist.ports;
    auto clock = [&] { netlist.settle(); netlist.edge(); };

    const uint32_t jobs = in.number<uint32_t>();
    for (uint32_t job = 0; job < jobs; ++job) {
        netlist.set(port[kReset], 1);
        netlist.set(port[kStart], 0);
        netlist.set(port[kConfigWrite], 1);
        const uint32_t registers = in.number<uint32_t>();
        for (uint32_t i = 0; i < registers; ++i) {
            netlist.set(port[kConfigAddress], in.number<uint32_t>());
            netlist.set(port[kConfigData], in.number<uint32_t>());
            clock();
        }
        netlist.set(port[kConfigWrite], 0);
        for (int i = 0; i < 4; ++i) clock();  // reset takes the base addresses
        ReadPort input(in.block(in.number<uint32_t>() * bytes(port[kInputData])), port[kInputData].size(), latency);
        ReadPort weight(in.block(in.number<uint32_t>() * bytes(port[kWeightData])), port[kWeightData].size(), latency);
        const uint32_t output_beats = in.number<uint32_t>();
        const size_t beat = bytes(port[kOutputData]);
        std::vector<uint8_t> output(output_beats * beat, 0xA5);
        const uint64_t limit = in.number<uint64_t>();

        netlist.set(port[kReset], 0);
        netlist.set(port[kStart], 1);
        netlist.settle();
        netlist.start_counting();
        netlist.edge();
        netlist.set(port[kStart], 0);
        uint64_t cycles = 0;
        uint32_t done = 0, stray = 0;
        while (!done && cycles < limit) {
            netlist.set_bytes(port[kInputData], input.respond());
            netlist.set_bytes(port[kWeightData], weight.respond());
            netlist.settle();
            netlist.count();
            input.request(netlist.get(port[kInputRead]), netlist.get(port[kInputAddr]));
            weight.request(netlist.get(port[kWeightRead]), netlist.get(port[kWeightAddr]));
            if (netlist.get(port[kOutputWrite])) {
                const uint64_t address = netlist.get(port[kOutputAddr]);
                if (address < output_beats) netlist.get_bytes(port[kOutputData], output.data() + address * beat);
                else ++stray;
            }
            done = netlist.get(port[kDone]);
            netlist.edge();
            ++cycles;
        }
        netlist.flush();
        stray += input.stray() + weight.stray();
        std::fwrite(&done, 4, 1, out);
        std::fwrite(&cycles, 8, 1, out);
        std::fwrite(&stray, 4, 1, out);
        std::fwrite(output.data(), 1, output.size(), out);
        std::fwrite(netlist.toggles.data(), 8, netlist.toggles.size(), toggles);
    }
    const bool closed = std::fclose(out) == 0;
    return std::fclose(toggles) == 0 && closed ? 0 : 5;
}
