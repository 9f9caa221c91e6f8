// What the JS thread and the pacer thread tell each other: plain values.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <variant>

#include "bfd_address.h"

constexpr size_t kBfdPacketSize = 24;
// The longest authentication section has 28 bytes (RFC 5880 §4.4).
constexpr size_t kBfdPacketRoom = 64;

using BfdPacket = std::array<uint8_t, kBfdPacketSize>;

// PacerSession of adapters/native/native.ts.
struct BfdSessionSpec {
  uint32_t discriminator = 0;
  BfdAddress remote;
  std::optional<BfdAddress> local;
  bool multihop = false;
  bool seamless = false;
  std::optional<BfdPacket> packet;
  int64_t pauseMinNs = 0;
  int64_t pauseMaxNs = 0;
  int64_t detectNs = 0;
  std::optional<BfdPacket> expect;
};

// Written by the pacer thread, read by the JS thread.
struct BfdCounters {
  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> dropped{0};
  std::atomic<uint64_t> unreported{0};
  std::atomic<int64_t> lateMaxNs{0};
  std::atomic<int64_t> gapMaxNs{0};
};

struct BfdSet {
  BfdSessionSpec spec;
  std::shared_ptr<BfdCounters> counters;
};
struct BfdSend {
  uint32_t discriminator;
  BfdPacket packet;
};
struct BfdRemove {
  uint32_t discriminator;
};
struct BfdStop {};

using BfdCommand = std::variant<BfdSet, BfdSend, BfdRemove, BfdStop>;

struct BfdEvent {
  enum Kind : uint8_t { kPacket, kExpired, kSendFailed };

  Kind kind;
  bool multihop;
  uint8_t ttl;
  uint8_t size;
  uint32_t discriminator;
  int error;
  int64_t atNs;
  int64_t lateNs;
  BfdAddress source;
  std::array<uint8_t, kBfdPacketRoom> packet;
};

inline int64_t NowNs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
