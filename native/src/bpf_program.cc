#include "bpf_program.h"

#include <bpf/bpf.h>

#include "addon_data.h"
#include "args.h"
#include "bpf_common.h"
#include "errors.h"

namespace {

// XDP may grow a packet at its head; the kernel itself stops at a page.
constexpr size_t kGrowth = 256;

std::string Hex(const unsigned char* bytes, size_t size) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < size; i++) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

}  // namespace

Napi::Function BpfProgram::Define(Napi::Env env) {
  return DefineClass(env, "BpfProgram",
                     {
                         StaticMethod<&BpfProgram::OpenById>("openById"),
                         InstanceAccessor<&BpfProgram::Info>("info"),
                         InstanceMethod<&BpfProgram::TestRun>("testRun"),
                         InstanceMethod<&BpfProgram::Close>("close"),
                     });
}

BpfProgram::BpfProgram(const Napi::CallbackInfo& info)
    : ObjectWrap(info), fd_(TakeExternal<SharedFd>(info, "BpfObject.program")) {}

SharedFd BpfProgram::FdArg(const Napi::CallbackInfo& info, size_t index) {
  Napi::Value value = info[index];
  if (!value.IsObject() ||
      !value.As<Napi::Object>().InstanceOf(Data(info.Env()).bpfProgram.Value()))
    throw BadArgument(info.Env(), index, "a BpfProgram");
  return Unwrap(value.As<Napi::Object>())->OpenFd(info.Env());
}

SharedFd BpfProgram::OpenFd(Napi::Env env) {
  if (!fd_) throw ToJs(env, {EBADF, "BpfProgram is closed", ""});
  return fd_;
}

Napi::Value BpfProgram::OpenById(const Napi::CallbackInfo& info) {
  int fd = bpf_prog_get_fd_by_id(IntArg(info, 0));
  if (fd < 0) throw ToJs(info.Env(), {-fd, "bpf_prog_get_fd_by_id", ""});
  return Construct(Data(info.Env()).bpfProgram, std::make_shared<Fd>(fd));
}

Napi::Value BpfProgram::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_prog_info kernel;
  Sync(env, [&] { ReadInfo(*OpenFd(env), &kernel, sizeof kernel); });
  auto result = Napi::Object::New(env);
  result.Set("id", kernel.id);
  result.Set("tag", Hex(kernel.tag, sizeof kernel.tag));
  result.Set("name", Napi::String::New(env, kernel.name));
  return result;
}

Napi::Value BpfProgram::TestRun(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Bytes packet = BytesArg(info, 0);
  std::vector<uint8_t> out(packet.size + kGrowth);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = packet.data;
  options.data_size_in = packet.size;
  options.data_out = out.data();
  options.data_size_out = out.size();
  options.repeat = IntArg(info, 1);
  int failed = bpf_prog_test_run_opts(OpenFd(env)->get(), &options);
  if (failed) throw ToJs(env, {-failed, "bpf_prog_test_run_opts", ""});
  auto result = Napi::Object::New(env);
  result.Set("verdict", options.retval);
  result.Set("packet", Napi::Buffer<uint8_t>::Copy(env, out.data(), options.data_size_out));
  result.Set("durationNs", options.duration);
  return result;
}

void BpfProgram::Close(const Napi::CallbackInfo&) {
  fd_.reset();
}
