// A loaded BPF program.
#pragma once
#include <napi.h>

#include "fd.h"

class BpfProgram : public Napi::ObjectWrap<BpfProgram> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit BpfProgram(const Napi::CallbackInfo& info);

  // The fd behind an argument that must be an open BpfProgram.
  static SharedFd FdArg(const Napi::CallbackInfo& info, size_t index);

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info);
  static Napi::Value OpenById(const Napi::CallbackInfo& info);
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);
  Napi::Value SendLive(const Napi::CallbackInfo& info);
  void PinAt(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  SharedFd OpenFd(Napi::Env env);

  SharedFd fd_;
};
