// What harnesses read their requests with, and the memory behind a read port of an accelerator.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace {

class Reader {
  public:
    explicit Reader(const char* path) : file_(std::fopen(path, "rb")) { if (!file_) std::exit(3); }
    ~Reader() { std::fclose(file_); }
    template <class T> T number() { T value; bytes(&value, sizeof value); return value; }
    std::vector<uint8_t> block(size_t size) { std::vector<uint8_t> out(size); bytes(out.data(), size); return out; }
    // A count, then as many numbers.
    std::vector<uint32_t> numbers() {
        std::vector<uint32_t> out(number<uint32_t>());
        bytes(out.data(), 4 * out.size());
        return out;
    }
  private:
    void bytes(void* to, size_t size) { if (std::fread(to, 1, size, file_) != size) std::exit(4); }
    std::FILE* file_;
};

// A read port: data appear `latency` cycles after their address. In other cycles it carries rubbish.
class ReadPort {
  public:
    ReadPort(std::vector<uint8_t> memory, size_t bits, size_t latency)
        : memory_(std::move(memory)), beat_((bits + 7) / 8), rubbish_(beat_, 0xA5), flight_(latency, -1) {
        if (bits % 8) rubbish_.back() &= (1 << bits % 8) - 1;
    }
    // The bytes of the beat that is due.
    const uint8_t* respond() const {
        const int64_t address = flight_[head_];
        return address >= 0 ? memory_.data() + address * beat_ : rubbish_.data();
    }
    // One cycle; returns whether the address is that of a beat.
    bool request(bool read, uint64_t address) {
        const bool known = address < memory_.size() / beat_;
        flight_[head_] = read && known ? int64_t(address) : -1;
        head_ = (head_ + 1) % flight_.size();
        return known;
    }
  private:
    std::vector<uint8_t> memory_;
    size_t beat_;
    std::vector<uint8_t> rubbish_;
    std::vector<int64_t> flight_;
    size_t head_ = 0;
};

}  // namespace
