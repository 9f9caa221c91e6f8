// A BPF map: by elements, in batches, or, where it is made for it, as memory.
#pragma once
#include <napi.h>

#include "args.h"
#include "fd.h"

class BpfMap : public Napi::ObjectWrap<BpfMap> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit BpfMap(const Napi::CallbackInfo& info);

  // The fd behind an argument that must be an open BpfMap.
  static SharedFd FdArg(const Napi::CallbackInfo& info, size_t index);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  static Napi::Value OpenById(const Napi::CallbackInfo& info);
  static Napi::Value Create(const Napi::CallbackInfo& info);
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value SetInner(const Napi::CallbackInfo& info);
  Napi::Value UpdateBatch(const Napi::CallbackInfo& info);
  Napi::Value Mmap(const Napi::CallbackInfo& info);
  Napi::Value Keys(const Napi::CallbackInfo& info);
  Napi::Value MemlockBytes(const Napi::CallbackInfo& info);
  void PinAt(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int OpenFd(Napi::Env env);
  // The argument's bytes, which must be exactly as many as the kernel will read or write.
  uint8_t* Exactly(const Napi::CallbackInfo& info, size_t index, size_t size);

  SharedFd fd_;
  size_t keySize_ = 0;
  size_t valueSize_ = 0;  // per-CPU maps: all CPUs, each value rounded up to 8
  Napi::Reference<Napi::Uint8Array> mapped_;
};
