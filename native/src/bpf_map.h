// A BPF map, one element at a time.
#pragma once
#include <napi.h>

#include "args.h"
#include "fd.h"

class BpfMap : public Napi::ObjectWrap<BpfMap> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit BpfMap(const Napi::CallbackInfo& info);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int OpenFd(Napi::Env env);
  // The argument's bytes, which must be exactly as many as the kernel will read or write.
  uint8_t* Exactly(const Napi::CallbackInfo& info, size_t index, size_t size);

  SharedFd fd_;
  size_t keySize_ = 0;
  size_t valueSize_ = 0;  // per-CPU maps: all CPUs, each value rounded up to 8
};
