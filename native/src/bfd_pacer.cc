#include "bfd_pacer.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "addon_data.h"
#include "args.h"
#include "bfd_args.h"
#include "bfd_thread.h"
#include "errors.h"

namespace {

// Above all that is not real-time; below the kernel's own interrupt threads (50), which bring the
// packets.
constexpr int kPriority = 40;

std::thread Start(std::unique_ptr<BfdThread> pacer) {
  // Signals are the JS thread's business.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([pacer = std::move(pacer)] {
    prctl(PR_SET_TIMERSLACK, 1);  // real-time threads have none anyway
    pacer->Run();
  });
  pthread_setname_np(thread.native_handle(), "bfd-pacer");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

int MakeRealtime(std::thread* thread) {
  sched_param parameters{};
  parameters.sched_priority = kPriority;
  return pthread_setschedparam(thread->native_handle(), SCHED_FIFO, &parameters);
}

}  // namespace

struct BfdPacer::Handle {
  uv_async_t wake;
  BfdPacer* owner;
  napi_env env;

  static void Woken(uv_async_t* wake) {
    auto* owner = static_cast<Handle*>(wake->data)->owner;
    if (owner) owner->OnEvents();
  }
  static void Closed(uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); }
  static void EnvEnds(void* self) { static_cast<Handle*>(self)->owner->Close(); }
};

// What `open` made, on its way into the object.
struct BfdPacer::Opened {
  std::shared_ptr<BfdChannel> channel;
  std::shared_ptr<BfdCounters> strangers;
  std::unique_ptr<BfdThread> pacer;
  Napi::Function onEvents;
};

Napi::Function BfdPacer::Define(Napi::Env env) {
  return DefineClass(env, "BfdPacer",
                     {
                         StaticMethod<&BfdPacer::Open>("open"),
                         InstanceAccessor<&BfdPacer::Realtime>("realtime"),
                         InstanceMethod<&BfdPacer::SetSession>("set"),
                         InstanceMethod<&BfdPacer::Send>("send"),
                         InstanceMethod<&BfdPacer::Remove>("remove"),
                         InstanceMethod<&BfdPacer::Counters>("counters"),
                         InstanceMethod<&BfdPacer::CloseFromJs>("close"),
                     });
}

Napi::Value BfdPacer::Open(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw BadArgument(info.Env(), 0, "a function");
  auto opened = std::make_unique<Opened>();
  opened->onEvents = info[0].As<Napi::Function>();
  opened->strangers = std::make_shared<BfdCounters>();
  Sync(info.Env(), [&] {
    opened->channel = std::make_shared<BfdChannel>();
    opened->pacer = std::make_unique<BfdThread>(opened->channel, opened->strangers);
  });
  return Construct(Data(info.Env()).bfdPacer, std::move(opened));
}

BfdPacer::BfdPacer(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto opened = TakeExternal<std::unique_ptr<Opened>>(info, "BfdPacer.open");
  Napi::Env env = info.Env();
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  handle_ = new Handle{};
  handle_->owner = this;
  handle_->env = env;
  handle_->wake.data = handle_;
  uv_async_init(loop, &handle_->wake, Handle::Woken);
  napi_add_env_cleanup_hook(env, Handle::EnvEnds, handle_);
  channel_ = std::move(opened->channel);
  counters_[0] = std::move(opened->strangers);
  onEvents_ = Napi::Persistent(opened->onEvents);
  channel_->Listen(&handle_->wake);
  thread_ = Start(std::move(opened->pacer));
  realtimeError_ = MakeRealtime(&thread_);
  // It holds itself until it is closed: else garbage collection would end sessions in silence.
  Ref();
}

BfdPacer::~BfdPacer() {
  Close();
}

Napi::Value BfdPacer::Realtime(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object realtime = Napi::Object::New(env);
  realtime.Set("held", realtimeError_ == 0);
  realtime.Set("code", ErrnoName(env, realtimeError_));
  return realtime;
}

void BfdPacer::RequireOpen(Napi::Env env) {
  if (!handle_) throw ToJs(env, {EBADF, "BfdPacer is closed", ""});
}

void BfdPacer::SetSession(const Napi::CallbackInfo& info) {
  RequireOpen(info.Env());
  BfdSessionSpec spec = SessionArg(info, 0);
  auto& counters = counters_[spec.discriminator];
  if (!counters) counters = std::make_shared<BfdCounters>();
  channel_->Command(BfdSet{spec, counters});
}

std::shared_ptr<BfdCounters> BfdPacer::CountersOf(const Napi::CallbackInfo& info) {
  RequireOpen(info.Env());
  auto found = counters_.find(DiscriminatorArg(info, 0));
  if (found == counters_.end()) throw ToJs(info.Env(), {ENOENT, "no such BFD session", ""});
  return found->second;
}

void BfdPacer::Send(const Napi::CallbackInfo& info) {
  CountersOf(info);
  channel_->Command(BfdSend{DiscriminatorArg(info, 0), PacketArg(info.Env(), info[1], "packet")});
}

void BfdPacer::Remove(const Napi::CallbackInfo& info) {
  RequireOpen(info.Env());
  uint32_t discriminator = DiscriminatorArg(info, 0);
  if (!discriminator || !counters_.erase(discriminator)) return;
  channel_->Command(BfdRemove{discriminator});
}

Napi::Value BfdPacer::Counters(const Napi::CallbackInfo& info) {
  auto counters = CountersOf(info);
  Napi::Object all = Napi::Object::New(info.Env());
  auto set = [&](const char* name, double value) { all.Set(name, value); };
  set("sent", counters->sent);
  set("received", counters->received);
  set("dropped", counters->dropped);
  set("unreported", counters->unreported);
  set("lateMaxUs", MicrosecondsOf(counters->lateMaxNs.exchange(0)));
  set("gapMaxUs", MicrosecondsOf(counters->gapMaxNs.exchange(0)));
  return all;
}

Napi::Array BfdPacer::TakeEvents(Napi::Env env) {
  channel_->TakeEvents(&events_);
  Napi::Array all = Napi::Array::New(env, events_.size());
  for (size_t i = 0; i < events_.size(); i++) {
    Napi::HandleScope each(env);
    all.Set(i, EventToJs(env, events_[i]));
  }
  events_.clear();
  return all;
}

// The call by the C interface, as NlSocket does: a worker thread that is being terminated ends it
// with something that is no Error, and lets no object be made.
void BfdPacer::OnEvents() {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  [[maybe_unused]] Napi::Object self = Value();  // keeps us while the callback closes us
  napi_value arguments[1];
  try {
    Napi::Array all = TakeEvents(env);
    if (all.Length() == 0) return;
    arguments[0] = all;
  } catch (const Napi::Error&) {
    events_.clear();
    return;
  }
  napi_value thrown;
  if (napi_make_callback(env, nullptr, env.Global(), onEvents_.Value(), 1, arguments, nullptr) !=
      napi_pending_exception)
    return;
  // 'uncaughtException', as from any callback.
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

void BfdPacer::CloseFromJs(const Napi::CallbackInfo&) {
  Close();
}

void BfdPacer::Close() {
  Handle* handle = handle_;
  if (!handle) return;
  handle_ = nullptr;
  handle->owner = nullptr;
  channel_->Listen(nullptr);
  channel_->Command(BfdStop{});
  thread_.join();
  napi_remove_env_cleanup_hook(handle->env, Handle::EnvEnds, handle);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->wake), Handle::Closed);
  onEvents_.Reset();
  counters_.clear();
  Unref();
}
