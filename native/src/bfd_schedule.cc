#include "bfd_schedule.h"

void BfdSchedule::Put(BfdDue* due, int64_t dueNs) {
  due->dueNs = dueNs;
  if (due->place == SIZE_MAX) {
    heap_.push_back(due);
    due->place = heap_.size() - 1;
  }
  Settle(due);
}

void BfdSchedule::Take(BfdDue* due) {
  if (due->place == SIZE_MAX) return;
  BfdDue* last = heap_.back();
  heap_.pop_back();
  if (last != due) {
    Set(due->place, last);
    Settle(last);
  }
  due->place = SIZE_MAX;
}

void BfdSchedule::Set(size_t place, BfdDue* due) {
  heap_[place] = due;
  due->place = place;
}

void BfdSchedule::Settle(BfdDue* due) {
  size_t place = due->place;
  for (; place > 0 && heap_[(place - 1) / 2]->dueNs > due->dueNs; place = (place - 1) / 2)
    Set(place, heap_[(place - 1) / 2]);
  for (;;) {
    size_t child = place * 2 + 1;
    if (child + 1 < heap_.size() && heap_[child + 1]->dueNs < heap_[child]->dueNs) child++;
    if (child >= heap_.size() || heap_[child]->dueNs >= due->dueNs) break;
    Set(place, heap_[child]);
    place = child;
  }
  Set(place, due);
}
