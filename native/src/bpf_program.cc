#include "bpf_program.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <algorithm>
#include <chrono>

#include "addon_data.h"
#include "args.h"
#include "bpf_common.h"
#include "netns.h"
#include "task.h"

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

// The ids of the maps come by a second call, into an array that the caller sizes.
std::vector<uint32_t> ReadWithMaps(const Fd& fd, bpf_prog_info* kernel) {
  ReadInfo(fd, kernel, sizeof *kernel);
  std::vector<uint32_t> maps(kernel->nr_map_ids);
  if (maps.empty()) return maps;
  *kernel = {};
  kernel->nr_map_ids = maps.size();
  kernel->map_ids = reinterpret_cast<uint64_t>(maps.data());
  uint32_t size = sizeof *kernel;
  int failed = bpf_obj_get_info_by_fd(fd.get(), kernel, &size);
  if (failed) Fail("bpf_obj_get_info_by_fd", -failed);
  maps.resize(std::min<size_t>(maps.size(), kernel->nr_map_ids));
  return maps;
}

struct Frames {
  std::vector<uint8_t> packet;
  int32_t repeat;
  int32_t batch;
  int32_t cpu;
};

void PinToCpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) Fail("sched_setaffinity");
}

// The frames, for the calling thread: its namespace, its CPU. Wall time in ns.
double RunLive(const Fd& program, const Frames& frames) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frames.packet.data();
  options.data_size_in = frames.packet.size();
  options.repeat = frames.repeat;
  options.batch_size = frames.batch;
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  auto start = std::chrono::steady_clock::now();
  int failed = bpf_prog_test_run_opts(program.get(), &options);
  if (failed) Fail("bpf_prog_test_run_opts", -failed);
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Napi::Function BpfProgram::Define(Napi::Env env) {
  return DefineClass(env, "BpfProgram",
                     {
                         StaticMethod<&BpfProgram::Open>("open"),
                         StaticMethod<&BpfProgram::OpenById>("openById"),
                         InstanceAccessor<&BpfProgram::Info>("info"),
                         InstanceMethod<&BpfProgram::TestRun>("testRun"),
                         InstanceMethod<&BpfProgram::SendLive>("sendLive"),
                         InstanceMethod<&BpfProgram::PinAt>("pin"),
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

Napi::Value BpfProgram::Open(const Napi::CallbackInfo& info) {
  std::string path = StringArg(info, 0);
  return Construct(Data(info.Env()).bpfProgram,
                   Sync(info.Env(), [&] { return OpenPin(path, "bpf-prog"); }));
}

Napi::Value BpfProgram::OpenById(const Napi::CallbackInfo& info) {
  int fd = bpf_prog_get_fd_by_id(IntArg(info, 0));
  if (fd < 0) throw ToJs(info.Env(), {-fd, "bpf_prog_get_fd_by_id", ""});
  return Construct(Data(info.Env()).bpfProgram, std::make_shared<Fd>(fd));
}

Napi::Value BpfProgram::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_prog_info kernel;
  auto maps = Sync(env, [&] { return ReadWithMaps(*OpenFd(env), &kernel); });
  auto mapIds = Napi::Array::New(env, maps.size());
  for (uint32_t i = 0; i < maps.size(); i++) mapIds.Set(i, maps[i]);
  auto result = Napi::Object::New(env);
  result.Set("id", kernel.id);
  result.Set("tag", Hex(kernel.tag, sizeof kernel.tag));
  result.Set("name", Napi::String::New(env, kernel.name));
  result.Set("mapIds", mapIds);
  result.Set("runCount", static_cast<double>(kernel.run_cnt));
  result.Set("runTimeNs", static_cast<double>(kernel.run_time_ns));
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

// On a thread of its own: it changes namespace and CPU, and may take seconds.
Napi::Value BpfProgram::SendLive(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Frames frames{CopyArg(info, 0), IntArg(info, 1), IntArg(info, 2), IntArg(info, 4)};
  if (frames.cpu >= CPU_SETSIZE) throw BadArgument(env, 4, "a CPU");
  SharedFd ns = Sync(env, [&] { return Duplicate(NsArg(info, 3)); });
  auto work = [program = OpenFd(env), frames = std::move(frames), ns] {
    double took = 0;
    InNetns(ns ? ns->get() : -1, [&] {
      if (frames.cpu >= 0) PinToCpu(frames.cpu);
      took = RunLive(*program, frames);
    });
    return took;
  };
  return Task<double>::Run(env, work, [](Napi::Env env, double took) -> Napi::Value {
    return Napi::Number::New(env, took);
  });
}

void BpfProgram::PinAt(const Napi::CallbackInfo& info) {
  std::string path = StringArg(info, 0);
  Sync(info.Env(), [&] { Pin(*OpenFd(info.Env()), path); });
}

void BpfProgram::Close(const Napi::CallbackInfo&) {
  fd_.reset();
}
