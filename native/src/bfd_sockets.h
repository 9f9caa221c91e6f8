// The sockets of BFD: four that receive (RFC 5881 §4, RFC 5883 §5; both families), one that sends
// for each session. Of Seamless BFD four more: its answers come to where its packets went from
// (RFC 7881 §3), so these do both for all of its sessions.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "bfd_types.h"
#include "fd.h"

// Which packets a socket is for.
struct BfdKind {
  int family;
  bool multihop;
  bool seamless;

  static BfdKind Of(const BfdSessionSpec& spec) {
    return {spec.remote.family, spec.multihop, spec.seamless};
  }
  bool Equals(const BfdKind& other) const {
    return family == other.family && multihop == other.multihop && seamless == other.seamless;
  }
};

struct BfdArrival {
  const uint8_t* data;
  size_t size;
  BfdAddress source;
  BfdAddress destination;
  int ttl;
  BfdKind kind;
  int64_t atNs;  // CLOCK_MONOTONIC, by the kernel's own stamp
};

class BfdReceiver {
 public:
  // Opens it, in the network namespace of the caller. Throws Failure.
  explicit BfdReceiver(BfdKind kind);

  int fd() const { return fd_.get(); }
  const BfdKind& kind() const { return kind_; }
  // Of several hops: whose packets are taken, nobody's at first. Port 4784 can be reached from
  // anywhere: what strangers send there shall not even wake the thread.
  void TakeFrom(const std::vector<BfdAddress>& sources);
  // Hands one batch to `take(const BfdArrival&)`. True: more may lie there that came before
  // `untilNs`; so a flood can't hold a reader for ever.
  template <typename Take>
  bool Read(int64_t untilNs, Take take) {
    size_t count = ReadBatch();
    int64_t lastNs = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
      BfdArrival arrival = Arrival(i);
      lastNs = arrival.atNs;
      take(arrival);
    }
    return count == kBatch && lastNs < untilNs;
  }

 private:
  static constexpr size_t kBatch = 32;
  struct Slot {
    std::array<uint8_t, 256> data;
    alignas(8) std::array<uint8_t, 160> control;
    sockaddr_storage source;
    iovec vector;
  };

  size_t ReadBatch();
  BfdArrival Arrival(size_t index) const;
  int64_t Monotonic(int64_t realtimeNs) const;

  Fd fd_;
  BfdKind kind_;
  int64_t realOffsetNs_ = 0;  // CLOCK_REALTIME − CLOCK_MONOTONIC
  int64_t readNs_ = 0;        // when the last batch was read
  int64_t emptyNs_ = 0;       // the socket was seen empty then: what lies in it came later
  std::unique_ptr<std::array<Slot, kBatch>> slots_;
  std::array<mmsghdr, kBatch> headers_{};
};

class BfdSender {
 public:
  // 0 or errno. Opens the socket where there is none. `remote`: its scope is looked up anew then.
  int Send(const BfdSessionSpec& spec, BfdAddress* remote, const BfdPacket& packet,
           uint32_t random);
  // The same of a session of Seamless BFD, by the socket that its answer comes to.
  static int SendBy(int fd, const BfdSessionSpec& spec, const BfdPacket& packet);
  void Close() { fd_.reset(); }

 private:
  int Open(const BfdSessionSpec& spec, uint32_t random);

  std::unique_ptr<Fd> fd_;
  uint16_t port_ = 0;  // one for the session's whole life (RFC 5881 §4)
  sockaddr_storage to_{};
  socklen_t toSize_ = 0;
};
