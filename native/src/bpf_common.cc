#include "bpf_common.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "args.h"
#include "errors.h"

namespace {

constexpr size_t kTailLines = 12;

thread_local LibbpfLog* currentLog = nullptr;

int Print(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (!currentLog || level == LIBBPF_DEBUG) return 0;
  // A verifier log may be megabytes long: measured first, then printed.
  va_list again;
  va_copy(again, arguments);
  int size = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (size <= 0) return 0;
  std::string text(size + 1, '\0');
  vsnprintf(text.data(), text.size(), format, arguments);
  text.pop_back();
  currentLog->Append(text);
  return size;
}

Napi::Value BpfFsMount(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string path = StringArg(info, 0);
  Sync(env, [&] {
    struct statfs fs;
    if (statfs(path.c_str(), &fs) != 0) Fail("statfs");
    if (fs.f_type == BPF_FS_MAGIC) return;
    if (mount("bpf", path.c_str(), "bpf", 0, "mode=0700") != 0) Fail("mount");
  });
  return env.Undefined();
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  int count = libbpf_num_possible_cpus();
  if (count < 0) throw ToJs(info.Env(), {-count, "libbpf_num_possible_cpus", ""});
  return Napi::Number::New(info.Env(), count);
}

}  // namespace

LibbpfLog::LibbpfLog() {
  currentLog = this;
}

LibbpfLog::~LibbpfLog() {
  currentLog = nullptr;
}

std::string LibbpfLog::Tail() const {
  size_t end = text_.find_last_not_of('\n') + 1;
  size_t start = end;
  for (size_t lines = 0; start > 0 && lines < kTailLines; lines++) {
    size_t newline = text_.rfind('\n', start - 1);
    start = newline == std::string::npos ? 0 : newline;
  }
  if (start < end && text_[start] == '\n') start++;
  return text_.substr(start, end - start);
}

void InstallLibbpfLog() {
  libbpf_set_print(Print);
}

SharedFd OpenPin(const std::string& path, const char* what) {
  int fd = bpf_obj_get(path.c_str());
  if (fd < 0) Fail("bpf_obj_get", -fd);
  auto pin = std::make_shared<Fd>(fd);
  char kind[64] = "";
  std::string link = "/proc/self/fd/" + std::to_string(fd);
  if (readlink(link.c_str(), kind, sizeof kind - 1) < 0) Fail("readlink");
  if (std::string("anon_inode:") + what != kind) Fail("bpf_obj_get", EINVAL, std::string(kind));
  return pin;
}

void Pin(const Fd& fd, const std::string& path) {
  int failed = bpf_obj_pin(fd.get(), path.c_str());
  if (failed) Fail("bpf_obj_pin", -failed);
}

void ReadInfo(const Fd& fd, void* info, uint32_t size) {
  memset(info, 0, size);
  int failed = bpf_obj_get_info_by_fd(fd.get(), info, &size);
  if (failed) Fail("bpf_obj_get_info_by_fd", -failed);
}

void InitBpfCommon(Napi::Env env, Napi::Object exports) {
  InstallLibbpfLog();
  exports.Set("bpfFsMount", Napi::Function::New(env, BpfFsMount));
  exports.Set("possibleCpus", Napi::Function::New(env, PossibleCpus));
}
