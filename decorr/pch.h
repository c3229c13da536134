// Precompiled for every file of the project: LibTorch's headers cost seconds each time otherwise.
#pragma once
// clang-format off
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
// clang-format on
