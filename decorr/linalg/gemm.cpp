#include "decorr/linalg/gemm.h"

#include "decorr/core/check.h"
#include "decorr/linalg/onednn.h"
#include "decorr/linalg/precision.h"

#include <ATen/ATen.h>

#include <atomic>

namespace decorr::linalg {
namespace {

std::atomic<std::uint64_t> total_flops{0}, total_bytes{0};

std::string describe(const at::Tensor& tensor) {
  return fmt::format("{}[{}]", c10::toString(tensor.scalar_type()),
                     fmt::join(tensor.sizes(), ", "));
}

// The type of a product with `a`.
at::ScalarType result_type(const at::Tensor& a) {
  return a.scalar_type() == at::kBFloat16 ? at::kFloat : a.scalar_type();
}

void check_operands(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  const bool fits = a.dim() == 2 && b.dim() == 2 && out.dim() == 2 && a.size(1) == b.size(0) &&
                    out.size(0) == a.size(0) && out.size(1) == b.size(1);
  check_argument(fits, "[gemm] expected A [m, k], B [k, n] and out [m, n], got {}, {} and {}",
                 describe(a), describe(b), describe(out));
  const bool alike = a.scalar_type() == b.scalar_type() && out.scalar_type() == result_type(a) &&
                     a.device() == b.device() && a.device() == out.device();
  check_argument(alike,
                 "[gemm] A, B and out must share type and device (float32 out for bfloat16), got "
                 "{}, {} and {}",
                 describe(a), describe(b), describe(out));
  const bool row_major = (out.size(1) <= 1 || out.stride(1) == 1) &&
                         (out.size(0) <= 1 || out.stride(0) >= out.size(1));
  check_argument(row_major, "[gemm] out must be row-major, got strides [{}]",
                 fmt::join(out.strides(), ", "));
}

}  // namespace

at::Tensor& gemm_(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double alpha,
                  double beta) {
  check_operands(out, a, b);
  const at::NoGradGuard no_grad;
  total_flops += 2ULL * static_cast<std::uint64_t>(out.numel() * a.size(1));
  total_bytes += a.nbytes() + b.nbytes() + out.nbytes() * (beta == 0 ? 1 : 2);
  if (out.numel() == 0) return out;
  if (a.size(1) == 0) return beta == 0 ? out.zero_() : out.mul_(beta);
  if (a.scalar_type() == at::kBFloat16) {
    check_argument(alpha == 1 && beta == 0 && out.device().is_cpu(),
                   "[gemm] bfloat16 operands need alpha = 1, beta = 0 and a CPU, got {}, {} and {}",
                   alpha, beta, out.device().str());
    check_argument(has_bfloat16(),
                   "[gemm] this processor has no instructions for bfloat16: use float32");
    onednn::gemm_bfloat16(out, a, b);
  } else if (out.device().is_cpu() && out.scalar_type() == at::kFloat) {
    onednn::gemm(out, a, b, static_cast<float>(alpha), static_cast<float>(beta));
  } else {
    at::addmm_out(out, out, a, b, beta, alpha);
  }
  return out;
}

at::Tensor gemm(const at::Tensor& a, const at::Tensor& b) {
  check_argument(a.dim() == 2 && b.dim() == 2,
                 "[gemm] expected A [m, k] and B [k, n], got {} and {}", describe(a), describe(b));
  at::Tensor out =
      at::empty({a.size(0), b.size(1)}, a.options().dtype(result_type(a)).requires_grad(false));
  return gemm_(out, a, b);
}

at::Tensor gram(const at::Tensor& x) { return gemm(x, x.t()); }

void rank_k_update_(at::Tensor& r, const at::Tensor& u, const at::Tensor& v, double alpha,
                    double scale) {
  gemm_(r, u.t(), v, alpha, scale);
}

FlopCounter::FlopCounter() : start_(total_flops), start_bytes_(total_bytes) {}

std::uint64_t FlopCounter::count() const { return total_flops - start_; }

std::uint64_t FlopCounter::bytes() const { return total_bytes - start_bytes_; }

}  // namespace decorr::linalg
