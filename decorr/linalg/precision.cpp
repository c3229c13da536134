#include "decorr/linalg/precision.h"

#include "decorr/linalg/onednn.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace decorr::linalg {

bool has_bfloat16() {
  static const bool has = onednn::has_bfloat16();
  return has;
}

bool bfloat16_products() {
  return at::globalContext().float32MatmulPrecision() == at::Float32MatmulPrecision::MEDIUM &&
         has_bfloat16();
}

ProductPrecision::ProductPrecision(bool bfloat16)
    : before_(static_cast<int>(at::globalContext().float32MatmulPrecision())) {
  at::globalContext().setFloat32MatmulPrecision(bfloat16 ? at::Float32MatmulPrecision::MEDIUM
                                                         : at::Float32MatmulPrecision::HIGHEST);
}

ProductPrecision::~ProductPrecision() {
  at::globalContext().setFloat32MatmulPrecision(static_cast<at::Float32MatmulPrecision>(before_));
}

at::Tensor operand(const at::Tensor& x, bool bfloat16) {
  return bfloat16 && x.device().is_cpu() && x.scalar_type() == at::kFloat ? x.to(at::kBFloat16) : x;
}

}  // namespace decorr::linalg
