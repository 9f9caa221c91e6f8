// A netlink socket, opened inside a network namespace and read on the loop of its environment.
#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>

#include "nl_tx.h"

class NlSocket : public Napi::ObjectWrap<NlSocket> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit NlSocket(const Napi::CallbackInfo& info);
  ~NlSocket() override;

 private:
  struct Handles;

  static Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value PortId(const Napi::CallbackInfo& info);
  void SetOpt(const Napi::CallbackInfo& info);
  void Start(const Napi::CallbackInfo& info);
  void Send(const Napi::CallbackInfo& info);
  Napi::Value SendDump(const Napi::CallbackInfo& info);
  void SetRef(const Napi::CallbackInfo& info);
  void SetUnref(const Napi::CallbackInfo& info);
  void CloseFromJs(const Napi::CallbackInfo& info);

  SharedFd OpenFd(Napi::Env env);
  void OnReadable();
  // Fills the buffer with whole datagrams. Returns bytes read; `error` is what ended it, 0 = more.
  size_t Receive(int* error);
  void OnSendErrors();
  void Call(const Napi::FunctionReference& callback, double first, double second);
  void Close();

  std::shared_ptr<NlChannel> channel_;
  Handles* handles_ = nullptr;  // on the heap until libuv has let go of both; null = not started
  Napi::FunctionReference onData_;
  Napi::FunctionReference onError_;
  Napi::Reference<Napi::Uint8Array> buffer_;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};
