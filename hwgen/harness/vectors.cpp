// Drives a netlist of gates with given inputs and counts the transitions of every net.
//
// usage: vectors NETLIST STIMULUS RESPONSE
// The netlist has one input and one output port. Stimulus: u32 cycles; per cycle one byte an input bit. Response: per
// cycle one byte an output bit, then u64 toggles of every net. A cycle sets the inputs, settles, counts and clocks.
int main(int argc, char** argv) {
    if (argc < 4) return 2;
    Netlist netlist(argv[1], 1);
    Reader in(argv[2]);
    std::FILE* out = std::fopen(argv[3], "wb");
    if (!out) return 3;
    const auto &inputs = netlist.ports.at(0), &outputs = netlist.ports.at(1);
    const uint32_t cycles = in.number<uint32_t>();
    for (uint32_t cycle = 0; cycle < cycles; ++cycle) {
        const auto row = in.block(inputs.size());
        for (size_t i = 0; i < inputs.size(); ++i) netlist.values[inputs[i]] = row[i];
        netlist.settle();
        if (cycle) netlist.count(); else netlist.start_counting();
        for (auto net : outputs) std::fputc(netlist.values[net], out);
        netlist.edge();
    }
    netlist.flush();
    std::fwrite(netlist.toggles.data(), 8, netlist.toggles.size(), out);
    return std::fclose(out) == 0 ? 0 : 5;
}
