#pragma once

#include "decorr/core/random.h"
#include "decorr/core/threads.h"
#include "decorr/optim/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// Helpers shared by the optimizer tests.
namespace decorr::optim::testing {

/// Restores the number of threads at the end of a scope.
class ThreadsGuard {
 public:
  ThreadsGuard() : before_(threads()) {}
  ~ThreadsGuard() { set_threads(before_); }
  ThreadsGuard(const ThreadsGuard&) = delete;
  ThreadsGuard& operator=(const ThreadsGuard&) = delete;

 private:
  int before_;
};

/// A leaf of normal numbers that requires grad.
inline at::Tensor make_parameter(at::IntArrayRef sizes, at::ScalarType type,
                                 std::uint64_t seed = 1) {
  return RandomStream(seed, "parameter").normal(sizes, at::dtype(type)).requires_grad_();
}

/// The gradient of step number `step`: float32 numbers in the type of `parameter`, so that float32
/// and float64 runs see the same values.
inline at::Tensor make_gradient(const at::Tensor& parameter, std::int64_t step,
                                std::uint64_t seed = 2) {
  return RandomStream(seed, "gradient")
      .at(static_cast<std::uint64_t>(step))
      .normal(parameter.sizes(), at::dtype(at::kFloat))
      .to(parameter.scalar_type());
}

/// Sets the gradients of step number `step` for all parameters of `optimizer`.
inline void set_gradients(const Optimizer& optimizer, std::int64_t step) {
  std::uint64_t seed = 2;
  for (const auto& [name, parameter] : optimizer.parameters())
    parameter.mutable_grad() = make_gradient(parameter, step, seed++);
}

/// The learning rate of step number `step`.
inline double rate(std::int64_t step) { return 1e-2 / static_cast<double>(1 + step); }

/// Steps first … last - 1 with gradients from set_gradients() and the rate from rate().
inline void run(Optimizer& optimizer, std::int64_t first, std::int64_t last) {
  for (std::int64_t step = first; step < last; ++step) {
    set_gradients(optimizer, step);
    optimizer.step(rate(step));
  }
}

/// Largest difference, relative to the largest entry of `expected`.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor a = actual.detach().to(at::kDouble);
  const at::Tensor e = expected.detach().to(at::kDouble);
  return (a - e).abs().max().item<double>() / e.abs().max().item<double>();
}

/// Whether two tensors have the same shape, type and bits.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.detach().contiguous();
  const at::Tensor y = b.detach().contiguous();
  return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
         std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

/// Builds an optimizer over the given parameters.
using Build = std::function<std::unique_ptr<Optimizer>(NamedParameters)>;

/// Saving after 5 of 9 steps and going on in a new optimizer ends with the same bits as 9 steps.
inline void expect_resume_is_exact(const Build& build) {
  const auto make = [] {
    return NamedParameters{{"weight", make_parameter({13, 7}, at::kFloat)},
                           {"bias", make_parameter({13}, at::kFloat, 3)}};
  };
  const auto whole = build(make());
  run(*whole, 0, 9);

  const auto first = build(make());
  run(*first, 0, 5);
  const auto state = first->state_dict();
  NamedParameters copies;
  for (const auto& [name, parameter] : first->parameters())
    copies.emplace_back(name, parameter.detach().clone().requires_grad_());
  run(*first, 5, 7);  // must change neither the saved state nor the copies
  const auto second = build(copies);
  second->load_state_dict(state);
  EXPECT_EQ(second->steps(), 5);
  run(*second, 5, 9);

  EXPECT_EQ(second->steps(), 9);
  for (std::size_t i = 0; i < copies.size(); ++i)
    EXPECT_TRUE(same_bits(second->parameters()[i].second, whole->parameters()[i].second))
        << copies[i].first;
  const auto expected = whole->state_dict();
  const auto actual = second->state_dict();
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [key, tensor] : expected) EXPECT_TRUE(same_bits(actual.at(key), tensor)) << key;
}

/// Three steps give the same bits with one and two threads, and the same bits as single elements
/// updated alone, for sizes around the widths of vectors.
inline void expect_same_bits_with_any_cut(const Build& build, at::ScalarType type) {
  const ThreadsGuard guard;
  for (const std::int64_t size : {1, 7, 8, 15, 16, 17, 31, 33, 1000003}) {
    std::vector<at::Tensor> results;
    for (const int count : {1, 2}) {
      set_threads(count);
      const auto optimizer = build({{"p", make_parameter({size}, type)}});
      run(*optimizer, 0, 3);
      results.push_back(optimizer->parameters()[0].second);
    }
    EXPECT_TRUE(same_bits(results[0], results[1])) << size;
    // The last element alone goes through the scalar tail, in the whole often through a vector.
    for (const std::int64_t index : {std::int64_t{0}, size / 2, size - 1}) {
      const at::Tensor start = make_parameter({size}, type).detach();
      const auto alone = build({{"p", start.narrow(0, index, 1).clone().requires_grad_()}});
      const at::Tensor parameter = alone->parameters()[0].second;
      for (std::int64_t step = 0; step < 3; ++step) {
        parameter.mutable_grad() = make_gradient(start, step).narrow(0, index, 1).clone();
        alone->step(rate(step));
      }
      EXPECT_TRUE(same_bits(parameter, results[0].detach().narrow(0, index, 1)))
          << size << " at " << index;
    }
  }
}

/// A transposed leaf takes the path of tensor operations and agrees with its contiguous copy; both
/// stay where they are in memory.
inline void expect_layouts_agree(const Build& build) {
  const at::Tensor start = make_parameter({6, 35}, at::kDouble).detach();
  const at::Tensor flat = start.clone().requires_grad_();
  const at::Tensor transposed = start.t().contiguous().t().requires_grad_();
  ASSERT_FALSE(transposed.is_contiguous());
  const void* flat_memory = flat.data_ptr();
  const void* transposed_memory = transposed.data_ptr();
  const auto version = flat._version();
  const auto optimizer = build({{"flat", flat}, {"transposed", transposed}});
  for (std::int64_t step = 0; step < 20; ++step) {
    flat.mutable_grad() = make_gradient(flat, step);
    transposed.mutable_grad() = make_gradient(flat, step);
    optimizer->step(rate(step));
  }
  EXPECT_LT(relative_error(transposed, flat), 1e-12);
  EXPECT_GT(relative_error(start, flat), 1e-4) << "the parameter did not move";
  EXPECT_EQ(flat.data_ptr(), flat_memory);
  EXPECT_EQ(transposed.data_ptr(), transposed_memory);
  EXPECT_FALSE(transposed.is_contiguous());
  EXPECT_GT(flat._version(), version) << "autograd was not told that the parameter changed";
}

}  // namespace decorr::optim::testing
