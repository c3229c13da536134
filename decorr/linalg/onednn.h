#pragma once

#include <ATen/core/Tensor.h>

#include <string>

/// The one place that speaks to oneDNN, so that its versions differ here and nowhere else.
namespace decorr::linalg::onednn {

/// out ← alpha·A·B + beta·out for float32 CPU matrices; `out` row-major and not empty.
void gemm(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, float alpha, float beta);

/// out ← A·B for bfloat16 CPU matrices, summed in float32; `out` float32, row-major and not empty.
void gemm_bfloat16(at::Tensor& out, const at::Tensor& a, const at::Tensor& b);

/// Whether the processor has instructions for products of bfloat16.
bool has_bfloat16();

/// Version of the library in use, e.g. "2.6.3".
std::string version();

/// Instruction set that oneDNN's kernels use on this machine, e.g. "avx512_core_bf16".
std::string instruction_set();

}  // namespace decorr::linalg::onednn
