// A bpf_link: what holds a program on an interface. Pinned, it outlives us.
#pragma once
#include <napi.h>

#include "fd.h"

class BpfLink : public Napi::ObjectWrap<BpfLink> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit BpfLink(const Napi::CallbackInfo& info);

 private:
  static Napi::Value AttachXdp(const Napi::CallbackInfo& info);
  static Napi::Value AttachTcx(const Napi::CallbackInfo& info);
  static Napi::Value AttachTracing(const Napi::CallbackInfo& info);
  static Napi::Value AttachCgroup(const Napi::CallbackInfo& info);
  static Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);
  void PinAt(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  SharedFd OpenFd(Napi::Env env);

  SharedFd fd_;
};
