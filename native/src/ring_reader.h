// Reads a BPF ring buffer when asked.
#pragma once
#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>
#include <vector>

#include "fd.h"

// What libbpf's callback fills: on the heap, as the JS object itself may move between owners.
struct RingDrain {
  std::vector<uint8_t> records;
  size_t limit = 0;
};

struct Ring {
  ~Ring();

  SharedFd map;
  RingDrain drain;
  ring_buffer* reader = nullptr;
};

class RingReader : public Napi::ObjectWrap<RingReader> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit RingReader(const Napi::CallbackInfo& info);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Drain(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<Ring> ring_;
};
