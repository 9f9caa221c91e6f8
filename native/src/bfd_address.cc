#include "bfd_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

std::optional<BfdAddress> BfdAddress::Parse(const std::string& text) {
  BfdAddress address;
  size_t percent = text.find('%');
  std::string host = text.substr(0, percent);
  address.family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(address.family, host.c_str(), address.bytes.data()) != 1) return std::nullopt;
  if (percent == std::string::npos) return address;
  std::string scope = text.substr(percent + 1);
  if (address.family != AF_INET6 || scope.empty() || scope.size() >= address.scope.size())
    return std::nullopt;
  std::copy(scope.begin(), scope.end(), address.scope.begin());
  address.LookUpScope();
  return address;
}

BfdAddress BfdAddress::From(const sockaddr_storage& from) {
  BfdAddress address;
  address.family = from.ss_family;
  if (from.ss_family == AF_INET) {
    const auto& inet = reinterpret_cast<const sockaddr_in&>(from);
    memcpy(address.bytes.data(), &inet.sin_addr, sizeof inet.sin_addr);
  } else {
    const auto& inet = reinterpret_cast<const sockaddr_in6&>(from);
    memcpy(address.bytes.data(), &inet.sin6_addr, sizeof inet.sin6_addr);
    address.scopeId = inet.sin6_scope_id;
  }
  return address;
}

void BfdAddress::LookUpScope() {
  if (!scope[0]) return;
  char* end = nullptr;
  uint64_t number = strtoul(scope.data(), &end, 10);
  scopeId = *end ? if_nametoindex(scope.data()) : static_cast<uint32_t>(number);
}

socklen_t BfdAddress::Fill(sockaddr_storage* to, uint16_t port) const {
  memset(to, 0, sizeof *to);
  to->ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    auto* inet = reinterpret_cast<sockaddr_in*>(to);
    inet->sin_port = htons(port);
    memcpy(&inet->sin_addr, bytes.data(), sizeof inet->sin_addr);
    return sizeof *inet;
  }
  auto* inet = reinterpret_cast<sockaddr_in6*>(to);
  inet->sin6_port = htons(port);
  inet->sin6_scope_id = scopeId;
  memcpy(&inet->sin6_addr, bytes.data(), sizeof inet->sin6_addr);
  return sizeof *inet;
}

uint32_t BfdAddress::Word(size_t index) const {
  uint32_t word;
  memcpy(&word, bytes.data() + index * sizeof word, sizeof word);
  return ntohl(word);
}

std::string BfdAddress::Text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  inet_ntop(family, bytes.data(), host.data(), host.size());
  std::string text = host.data();
  if (!scopeId) return text;
  std::array<char, IF_NAMESIZE> name{};
  return text + "%" +
         (if_indextoname(scopeId, name.data()) ? name.data() : std::to_string(scopeId));
}

bool BfdAddress::Equals(const BfdAddress& other) const {
  return family == other.family && bytes == other.bytes &&
         (!scopeId || !other.scopeId || scopeId == other.scopeId);
}
