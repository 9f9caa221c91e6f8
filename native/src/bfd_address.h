// An IPv4 or IPv6 address, with the interface it is meant on where it is link-local.
#pragma once
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

struct BfdAddress {
  int family = AF_UNSPEC;
  std::array<uint8_t, 16> bytes{};  // of IPv4 the first four
  // Name or number of the interface as it was given, and its index when it was last looked up: the
  // interface may come later, or come back under another index. Empty and 0 without a scope.
  std::array<char, IF_NAMESIZE> scope{};
  uint32_t scopeId = 0;

  static std::optional<BfdAddress> Parse(const std::string& text);
  static BfdAddress From(const sockaddr_storage& from);

  void LookUpScope();
  socklen_t Fill(sockaddr_storage* to, uint16_t port) const;
  // The word at `index` of those that it has, 1 or 4.
  uint32_t Word(size_t index) const;
  std::string Text() const;
  // The same host: address and, where both have one, interface.
  bool Equals(const BfdAddress& other) const;
};
