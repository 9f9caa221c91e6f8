// One piece of work on libuv's pool, its end a promise.
#pragma once
#include <napi.h>

#include <functional>
#include <optional>
#include <utility>

#include "errors.h"

template <typename T>
class Task final : public Napi::AsyncWorker {
 public:
  using Work = std::function<T()>;
  using Convert = std::function<Napi::Value(Napi::Env, T)>;

  // `work` runs off the JS thread and may throw Failure; `convert` runs on it.
  static Napi::Promise Run(Napi::Env env, Work work, Convert convert) {
    auto* task = new Task(env, std::move(work), std::move(convert));
    Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 private:
  Task(Napi::Env env, Work work, Convert convert)
      : AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        convert_(std::move(convert)) {}

  void Execute() override {
    try {
      result_ = work_();
    } catch (Failure& failure) {
      failure_ = std::move(failure);
    }
  }

  void OnOK() override {
    Napi::HandleScope scope(Env());
    if (failure_) return deferred_.Reject(ToJs(Env(), *failure_).Value());
    try {
      deferred_.Resolve(convert_(Env(), std::move(*result_)));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  Napi::Promise::Deferred deferred_;
  Work work_;
  Convert convert_;
  std::optional<T> result_;
  std::optional<Failure> failure_;
};

// For work without a result.
inline Napi::Promise RunTask(Napi::Env env, std::function<void()> work) {
  return Task<bool>::Run(
      env,
      [work = std::move(work)] {
        work();
        return true;
      },
      [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); });
}
