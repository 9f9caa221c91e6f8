#include "netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <exception>
#include <string>
#include <thread>

#include "args.h"
#include "task.h"

void InNetns(int nsFd, const std::function<void()>& work) {
  std::exception_ptr thrown;
  std::thread thread([&] {
    try {
      if (nsFd >= 0 && setns(nsFd, CLONE_NEWNET) != 0) Fail("setns");
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

SharedFd Duplicate(int fd) {
  if (fd < 0) return nullptr;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) Fail("fcntl");
  return std::make_shared<Fd>(copy);
}

namespace {

bool IsMountPoint(const std::string& path) {
  struct statx st;
  if (statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st) != 0) Fail("statx");
  return st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

// What `ip netns` does: the directory is a shared mount, so that other mount namespaces see an
// unmount and a deleted namespace really dies. The lock is the one iproute2 takes, too.
void PrepareDirectory(const std::string& dir) {
  if (mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) Fail("mkdir");
  if (IsMountPoint(dir)) return;
  Fd lock(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0) Fail("open");
  if (flock(lock.get(), LOCK_EX) != 0) Fail("flock");
  if (IsMountPoint(dir)) return;
  if (mount(dir.c_str(), dir.c_str(), "none", MS_BIND | MS_REC, nullptr) != 0) Fail("mount");
  if (mount("", dir.c_str(), "none", MS_SHARED | MS_REC, nullptr) != 0) Fail("mount");
}

void CreateNamed(const std::string& path) {
  PrepareDirectory(path.substr(0, path.rfind('/')));
  {
    Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (file.get() < 0) Fail("open");
  }
  try {
    InNetns(-1, [&] {
      if (unshare(CLONE_NEWNET) != 0) Fail("unshare");
      if (mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0)
        Fail("mount");
    });
  } catch (...) {
    unlink(path.c_str());
    throw;
  }
}

// A file without a namespace on it (a creation that was cut) is removed as well. Only a namespace
// is unmounted: whatever else is mounted there (a file system, the directory itself) isn't ours to
// take.
void DeleteNamed(const std::string& path) {
  struct statfs fs;
  if (statfs(path.c_str(), &fs) != 0) Fail("statfs");
  if (fs.f_type == NSFS_MAGIC && umount2(path.c_str(), MNT_DETACH) != 0) Fail("umount2");
  if (unlink(path.c_str()) != 0) Fail("unlink");
}

Napi::Value NsCreate(const Napi::CallbackInfo& info) {
  return RunTask(info.Env(), [path = StringArg(info, 0)] { CreateNamed(path); });
}

Napi::Value NsDelete(const Napi::CallbackInfo& info) {
  return RunTask(info.Env(), [path = StringArg(info, 0)] { DeleteNamed(path); });
}

}  // namespace

void InitNetns(Napi::Env env, Napi::Object exports) {
  exports.Set("nsCreate", Napi::Function::New(env, NsCreate));
  exports.Set("nsDelete", Napi::Function::New(env, NsDelete));
}
