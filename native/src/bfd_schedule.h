// Sessions by when something is due for them: a binary heap that knows where each of them lies.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

struct BfdDue {
  int64_t dueNs = INT64_MAX;
  size_t place = SIZE_MAX;  // in the heap; SIZE_MAX: not in it
};

class BfdSchedule {
 public:
  BfdDue* First() const { return heap_.empty() ? nullptr : heap_[0]; }
  // Adds it, or moves it to where it belongs by now.
  void Put(BfdDue* due, int64_t dueNs);
  void Take(BfdDue* due);

 private:
  void Set(size_t place, BfdDue* due);
  void Settle(BfdDue* due);

  std::vector<BfdDue*> heap_;
};
