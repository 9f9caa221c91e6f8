#include "bpf_link.h"

#include <bpf/bpf.h>

#include "addon_data.h"
#include "args.h"
#include "bpf_common.h"
#include "bpf_program.h"
#include "netns.h"
#include "task.h"

Napi::Function BpfLink::Define(Napi::Env env) {
  return DefineClass(env, "BpfLink",
                     {
                         StaticMethod<&BpfLink::AttachXdp>("attachXdp"),
                         StaticMethod<&BpfLink::Open>("open"),
                         InstanceAccessor<&BpfLink::Info>("info"),
                         InstanceMethod<&BpfLink::Update>("update"),
                         InstanceMethod<&BpfLink::Detach>("detach"),
                         InstanceMethod<&BpfLink::PinAt>("pin"),
                         InstanceMethod<&BpfLink::Close>("close"),
                     });
}

BpfLink::BpfLink(const Napi::CallbackInfo& info)
    : ObjectWrap(info), fd_(TakeExternal<SharedFd>(info, "BpfLink.attachXdp or BpfLink.open")) {}

// The kernel looks the ifindex up in the namespace of the calling thread.
Napi::Value BpfLink::AttachXdp(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd ns = Sync(env, [&] { return Duplicate(NsArg(info, 2)); });
  auto work = [program = BpfProgram::FdArg(info, 0), ifindex = IntArg(info, 1), ns,
               flags = IntArg(info, 3)] {
    SharedFd link;
    InNetns(ns ? ns->get() : -1, [&] {
      LIBBPF_OPTS(bpf_link_create_opts, options);
      options.flags = flags;
      int fd = bpf_link_create(program->get(), ifindex, BPF_XDP, &options);
      if (fd < 0) Fail("bpf_link_create", -fd);
      link = std::make_shared<Fd>(fd);
    });
    return link;
  };
  return Task<SharedFd>::Run(env, work, [](Napi::Env env, SharedFd fd) -> Napi::Value {
    return Construct(Data(env).bpfLink, std::move(fd));
  });
}

Napi::Value BpfLink::Open(const Napi::CallbackInfo& info) {
  std::string path = StringArg(info, 0);
  return Construct(Data(info.Env()).bpfLink,
                   Sync(info.Env(), [&] { return OpenPin(path, "bpf-link"); }));
}

SharedFd BpfLink::OpenFd(Napi::Env env) {
  if (!fd_) throw ToJs(env, {EBADF, "BpfLink is closed", ""});
  return fd_;
}

Napi::Value BpfLink::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_link_info kernel;
  Sync(env, [&] { ReadInfo(*OpenFd(env), &kernel, sizeof kernel); });
  auto result = Napi::Object::New(env);
  result.Set("id", kernel.id);
  result.Set("programId", kernel.prog_id);
  result.Set("ifindex", kernel.type == BPF_LINK_TYPE_XDP ? kernel.xdp.ifindex : 0);
  return result;
}

Napi::Value BpfLink::Update(const Napi::CallbackInfo& info) {
  auto work = [link = OpenFd(info.Env()), program = BpfProgram::FdArg(info, 0)] {
    int failed = bpf_link_update(link->get(), program->get(), nullptr);
    if (failed) Fail("bpf_link_update", -failed);
  };
  return RunTask(info.Env(), work);
}

// At once, while unpinning alone would leave the program running until a kernel worker gets to it.
Napi::Value BpfLink::Detach(const Napi::CallbackInfo& info) {
  return RunTask(info.Env(), [link = OpenFd(info.Env())] {
    int failed = bpf_link_detach(link->get());
    if (failed) Fail("bpf_link_detach", -failed);
  });
}

void BpfLink::PinAt(const Napi::CallbackInfo& info) {
  std::string path = StringArg(info, 0);
  Sync(info.Env(), [&] { Pin(*OpenFd(info.Env()), path); });
}

void BpfLink::Close(const Napi::CallbackInfo&) {
  fd_.reset();
}
