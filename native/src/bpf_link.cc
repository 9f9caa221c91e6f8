#include "bpf_link.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <functional>

#include "addon_data.h"
#include "args.h"
#include "bpf_common.h"
#include "bpf_program.h"
#include "netns.h"
#include "task.h"

namespace {

// Kernel 6.6: younger than the headers that we build with.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr uint32_t kLinkTypeTcx = 11;

SharedFd Create(const Fd& program, int target, bpf_attach_type type, uint32_t flags) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = flags;
  int fd = bpf_link_create(program.get(), target, type, &options);
  if (fd < 0) Fail("bpf_link_create", -fd);
  return std::make_shared<Fd>(fd);
}

SharedFd CreateInNetns(const SharedFd& ns, const Fd& program, int ifindex, bpf_attach_type type,
                       uint32_t flags) {
  SharedFd link;
  InNetns(ns ? ns->get() : -1, [&] { link = Create(program, ifindex, type, flags); });
  return link;
}

Napi::Promise RunAttach(Napi::Env env, std::function<SharedFd()> attach) {
  return Task<SharedFd>::Run(env, std::move(attach), [](Napi::Env env, SharedFd fd) -> Napi::Value {
    return Construct(Data(env).bpfLink, std::move(fd));
  });
}

bool IsIngress(const Napi::CallbackInfo& info, size_t index) {
  std::string direction = StringArg(info, index);
  if (direction != "ingress" && direction != "egress")
    throw BadArgument(info.Env(), index, "ingress or egress");
  return direction == "ingress";
}

// Both kinds begin with the ifindex.
bool HasIfindex(const bpf_link_info& link) {
  return link.type == BPF_LINK_TYPE_XDP || link.type == kLinkTypeTcx;
}

}  // namespace

Napi::Function BpfLink::Define(Napi::Env env) {
  return DefineClass(env, "BpfLink",
                     {
                         StaticMethod<&BpfLink::AttachXdp>("attachXdp"),
                         StaticMethod<&BpfLink::AttachTcx>("attachTcx"),
                         StaticMethod<&BpfLink::AttachTracing>("attachTracing"),
                         StaticMethod<&BpfLink::AttachCgroup>("attachCgroup"),
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
    return CreateInNetns(ns, *program, ifindex, BPF_XDP, flags);
  };
  return RunAttach(env, work);
}

Napi::Value BpfLink::AttachTcx(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd ns = Sync(env, [&] { return Duplicate(NsArg(info, 2)); });
  auto work = [program = BpfProgram::FdArg(info, 0), ifindex = IntArg(info, 1), ns,
               type = IsIngress(info, 3) ? kTcxIngress : kTcxEgress] {
    return CreateInNetns(ns, *program, ifindex, type, 0);
  };
  return RunAttach(env, work);
}

// Without a name the kernel takes the hook that the program was loaded for.
Napi::Value BpfLink::AttachTracing(const Napi::CallbackInfo& info) {
  return RunAttach(info.Env(), [program = BpfProgram::FdArg(info, 0)] {
    int fd = bpf_raw_tracepoint_open(nullptr, program->get());
    if (fd < 0) Fail("bpf_raw_tracepoint_open", -fd);
    return std::make_shared<Fd>(fd);
  });
}

Napi::Value BpfLink::AttachCgroup(const Napi::CallbackInfo& info) {
  auto work = [program = BpfProgram::FdArg(info, 0), path = StringArg(info, 1),
               type = IsIngress(info, 2) ? BPF_CGROUP_INET_INGRESS : BPF_CGROUP_INET_EGRESS] {
    Fd cgroup(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (cgroup.get() < 0) Fail("open");
    return Create(*program, cgroup.get(), type, 0);
  };
  return RunAttach(info.Env(), work);
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
  result.Set("ifindex", HasIfindex(kernel) ? kernel.xdp.ifindex : 0);
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
