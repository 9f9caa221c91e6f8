// BfdPacer of adapters/native/native.ts: the JS side of the pacer thread.
#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "bfd_channel.h"

class BfdPacer : public Napi::ObjectWrap<BfdPacer> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit BfdPacer(const Napi::CallbackInfo& info);
  ~BfdPacer() override;

 private:
  struct Handle;
  struct Opened;

  static Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Realtime(const Napi::CallbackInfo& info);
  void SetSession(const Napi::CallbackInfo& info);
  void Send(const Napi::CallbackInfo& info);
  void Remove(const Napi::CallbackInfo& info);
  Napi::Value Counters(const Napi::CallbackInfo& info);
  void CloseFromJs(const Napi::CallbackInfo& info);

  void RequireOpen(Napi::Env env);
  std::shared_ptr<BfdCounters> CountersOf(const Napi::CallbackInfo& info);
  Napi::Array TakeEvents(Napi::Env env);
  void OnEvents();
  void Close();

  std::shared_ptr<BfdChannel> channel_;
  std::thread thread_;
  int realtimeError_ = 0;
  std::unordered_map<uint32_t, std::shared_ptr<BfdCounters>> counters_;
  std::vector<BfdEvent> events_;
  Handle* handle_ = nullptr;  // on the heap until libuv has let go of it; null = closed
  Napi::FunctionReference onEvents_;
};
