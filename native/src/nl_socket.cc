#include "nl_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include "addon_data.h"
#include "args.h"
#include "netns.h"
#include "task.h"

namespace {

// The kernel fills dump datagrams up to 32 KiB; below this much room the buffer counts as full.
constexpr size_t kDatagramRoom = 64 * 1024;
// Buffers handed over for one wake-up, so that a long dump lets the loop breathe.
constexpr int kBuffersPerWake = 4;

SharedFd OpenSocket(int nsFd, int protocol) {
  SharedFd socketFd;
  InNetns(nsFd, [&] {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0) Fail("socket");
    socketFd = std::make_shared<Fd>(fd);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("bind");
  });
  return socketFd;
}

}  // namespace

struct NlSocket::Handles {
  uv_poll_t poll;
  uv_async_t wake;
  NlSocket* owner;
  napi_env env;
  int open = 2;

  static void Closed(uv_handle_t* handle) {
    auto* self = static_cast<Handles*>(handle->data);
    if (--self->open == 0) delete self;
  }
  // libuv stops a poll that sees POLLERR, and for a netlink socket that is a mere overrun
  // (ENOBUFS).
  static void Readable(uv_poll_t* poll, int status, int) {
    auto* self = static_cast<Handles*>(poll->data);
    if (self->owner) self->owner->OnReadable();
    if (status < 0 && self->owner) uv_poll_start(poll, UV_READABLE, Readable);
  }
  static void EnvEnds(void* self) { static_cast<Handles*>(self)->owner->Close(); }
};

Napi::Function NlSocket::Define(Napi::Env env) {
  return DefineClass(env, "NlSocket",
                     {
                         StaticMethod<&NlSocket::Open>("open"),
                         InstanceAccessor<&NlSocket::PortId>("portId"),
                         InstanceMethod<&NlSocket::SetOpt>("setOpt"),
                         InstanceMethod<&NlSocket::Start>("start"),
                         InstanceMethod<&NlSocket::Send>("send"),
                         InstanceMethod<&NlSocket::SendDump>("sendDump"),
                         InstanceMethod<&NlSocket::SetRef>("ref"),
                         InstanceMethod<&NlSocket::SetUnref>("unref"),
                         InstanceMethod<&NlSocket::CloseFromJs>("close"),
                     });
}

NlSocket::NlSocket(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  channel_ = std::make_shared<NlChannel>(TakeExternal<SharedFd>(info, "NlSocket.open"));
}

NlSocket::~NlSocket() {
  Close();
}

Napi::Value NlSocket::Open(const Napi::CallbackInfo& info) {
  SharedFd ns = Sync(info.Env(), [&] { return Duplicate(NsArg(info, 0)); });
  auto work = [ns, protocol = IntArg(info, 1)] {
    return OpenSocket(ns ? ns->get() : -1, protocol);
  };
  return Task<SharedFd>::Run(info.Env(), work, [](Napi::Env env, SharedFd fd) -> Napi::Value {
    return Construct(Data(env).nlSocket, std::move(fd));
  });
}

SharedFd NlSocket::OpenFd(Napi::Env env) {
  SharedFd fd = channel_->fd();
  if (!fd) throw ToJs(env, {EBADF, "NlSocket is closed", ""});
  return fd;
}

Napi::Value NlSocket::PortId(const Napi::CallbackInfo& info) {
  sockaddr_nl address{};
  socklen_t size = sizeof address;
  if (getsockname(OpenFd(info.Env())->get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw ToJs(info.Env(), {errno, "getsockname", ""});
  return Napi::Number::New(info.Env(), address.nl_pid);
}

void NlSocket::SetOpt(const Napi::CallbackInfo& info) {
  int value = IntArg(info, 2);
  int fd = OpenFd(info.Env())->get();
  if (setsockopt(fd, IntArg(info, 0), IntArg(info, 1), &value, sizeof value) != 0)
    throw ToJs(info.Env(), {errno, "setsockopt", ""});
}

void NlSocket::Start(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (handles_) throw ToJs(env, {EALREADY, "NlSocket is started", ""});
  if (!info[0].IsFunction()) throw BadArgument(env, 0, "a function");
  if (!info[1].IsFunction()) throw BadArgument(env, 1, "a function");
  Bytes bytes = BytesArg(info, 2);
  if (bytes.size < kDatagramRoom) throw BadArgument(env, 2, "at least 64 KiB");

  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  auto* handles = new Handles{};
  handles->owner = this;
  handles->env = env;
  handles->poll.data = handles->wake.data = handles;
  int failed = uv_poll_init(loop, &handles->poll, fd->get());
  if (failed) {
    delete handles;
    throw ToJs(env, {-failed, "uv_poll_init", ""});
  }
  uv_async_init(loop, &handles->wake, [](uv_async_t* wake) {
    auto* owner = static_cast<Handles*>(wake->data)->owner;
    if (owner) owner->OnSendErrors();
  });
  // The poll alone decides whether the process stays alive.
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles->wake));
  uv_poll_start(&handles->poll, UV_READABLE, Handles::Readable);
  napi_add_env_cleanup_hook(env, Handles::EnvEnds, handles);

  handles_ = handles;
  data_ = bytes.data;
  size_ = bytes.size;
  onData_ = Napi::Persistent(info[0].As<Napi::Function>());
  onError_ = Napi::Persistent(info[1].As<Napi::Function>());
  buffer_ = Napi::Persistent(info[2].As<Napi::Uint8Array>());
  channel_->Listen(&handles->wake);
  // A started socket holds itself: else garbage collection would end a subscription in silence.
  Ref();
}

void NlSocket::Send(const Napi::CallbackInfo& info) {
  OpenFd(info.Env());
  NlTxSend(channel_, CopyArg(info, 0));
}

// Here and not on nl-tx: recvfrom continues a dump, and where that runs beside the sendto that
// starts it, both may do the same piece, so that one of them fails with a false EINVAL. Starting a
// dump changes nothing and waits no longer than continuing it, which the loop does anyway.
Napi::Value NlSocket::SendDump(const Napi::CallbackInfo& info) {
  SharedFd fd = OpenFd(info.Env());
  Bytes message = BytesArg(info, 0);
  return Napi::Number::New(info.Env(), NlSend(*fd, message.data, message.size));
}

void NlSocket::SetRef(const Napi::CallbackInfo&) {
  if (handles_) uv_ref(reinterpret_cast<uv_handle_t*>(&handles_->poll));
}

void NlSocket::SetUnref(const Napi::CallbackInfo&) {
  if (handles_) uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->poll));
}

size_t NlSocket::Receive(int* error) {
  SharedFd fd = channel_->fd();
  size_t used = 0;
  *error = 0;
  while (size_ - used >= kDatagramRoom) {
    sockaddr_nl from{};
    socklen_t fromSize = sizeof from;
    ssize_t size = recvfrom(fd->get(), data_ + used, size_ - used, MSG_TRUNC,
                            reinterpret_cast<sockaddr*>(&from), &fromSize);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      *error = errno;
      break;
    }
    if (from.nl_pid != 0) continue;  // any process can send to a port; only the kernel is heard
    if (static_cast<size_t>(size) > size_ - used) {
      *error = EMSGSIZE;
      break;
    }
    used += NLMSG_ALIGN(size);
  }
  return used;
}

void NlSocket::OnReadable() {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  [[maybe_unused]] Napi::Object self = Value();  // keeps us while a callback closes us
  for (int i = 0; i < kBuffersPerWake && handles_; i++) {
    int error;
    size_t used = Receive(&error);
    if (used) Call(onData_, used, 0);
    if (error == EAGAIN || !handles_) return;
    if (error) Call(onError_, error, 0);
  }
}

void NlSocket::OnSendErrors() {
  Napi::HandleScope scope(Env());
  [[maybe_unused]] Napi::Object self = Value();
  for (const SendError& failed : channel_->TakeErrors())
    if (handles_) Call(onError_, failed.error, failed.seq);
}

// By the C interface: a worker thread that is being terminated ends the call with something that is
// no Error, which node-addon-api's wrapper takes for fatal.
void NlSocket::Call(const Napi::FunctionReference& callback, double first, double second) {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  napi_value arguments[] = {Napi::Number::New(env, first), Napi::Number::New(env, second)};
  napi_value thrown;
  if (napi_make_callback(env, nullptr, env.Global(), callback.Value(), 2, arguments, nullptr) !=
      napi_pending_exception)
    return;
  // 'uncaughtException', as from any callback.
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

void NlSocket::CloseFromJs(const Napi::CallbackInfo&) {
  Close();
}

void NlSocket::Close() {
  SharedFd fd = channel_->fd();  // stays open until libuv no longer polls it
  channel_->Close();
  Handles* handles = handles_;
  if (!handles) return;
  handles_ = nullptr;
  handles->owner = nullptr;
  napi_remove_env_cleanup_hook(handles->env, Handles::EnvEnds, handles);
  uv_poll_stop(&handles->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&handles->poll), Handles::Closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&handles->wake), Handles::Closed);
  onData_.Reset();
  onError_.Reset();
  buffer_.Reset();
  Unref();
}
