#include "decorr/linalg/onednn.h"

#include "decorr/core/check.h"

#include <ATen/ATen.h>
#include <dnnl.hpp>

#include <array>
#include <map>
#include <tuple>

namespace decorr::linalg::onednn {
namespace {

using Layout = std::array<std::int64_t, 4>;  // rows, columns, row stride, column stride

struct Engine {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

// A stream belongs to one thread at a time.
Engine& engine() {
  thread_local Engine instance;
  return instance;
}

// A view that BLAS can describe: one stride is 1. Others are copied.
at::Tensor blas_view(const at::Tensor& matrix) {
  const bool row_major = matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1);
  const bool column_major = matrix.stride(0) == 1 && matrix.stride(1) >= matrix.size(0);
  return row_major || column_major ? matrix : matrix.clone(at::MemoryFormat::Contiguous);
}

// Sizes of 1 leave strides arbitrary; oneDNN wants them in order.
Layout layout_of(const at::Tensor& matrix) {
  std::int64_t row = matrix.stride(0);
  std::int64_t column = matrix.stride(1);
  if (column == 1 && matrix.size(0) == 1) row = matrix.size(1);
  if (column != 1 && matrix.size(1) == 1) column = matrix.size(0);
  return {matrix.size(0), matrix.size(1), row, column};
}

using Type = dnnl::memory::data_type;

dnnl::memory::desc describe(const Layout& layout, Type type) {
  return {{layout[0], layout[1]}, type, dnnl::memory::dims{layout[2], layout[3]}};
}

struct Matmul {
  dnnl::memory::desc a, b, out;
  dnnl::matmul primitive;
};

Matmul make_matmul(const Layout& a, const Layout& b, const Layout& out, Type type) {
  Matmul result;
  result.a = describe(a, type);
  result.b = describe(b, type);
  result.out = describe(out, Type::f32);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc primitive(engine().engine, result.a, result.b, result.out);
#else
  const dnnl::matmul::desc operation(result.a, result.b, result.out);
  const dnnl::matmul::primitive_desc primitive(operation, engine().engine);
#endif
  result.primitive = dnnl::matmul(primitive);
  return result;
}

// Building a primitive costs more than a small product, so they are kept: a training run has a few
// dozen shapes. Kernels are built for a number of threads, so that is part of the key.
const Matmul& cached_matmul(const Layout& a, const Layout& b, const Layout& out, Type type) {
  using Key = std::tuple<Layout, Layout, Layout, Type, int>;
  constexpr std::size_t kCapacity = 512;
  thread_local std::map<Key, Matmul> cache;
  const Key key{a, b, out, type, at::get_num_threads()};
  auto found = cache.find(key);
  if (found == cache.end()) {
    if (cache.size() >= kCapacity) cache.clear();
    found = cache.emplace(key, make_matmul(a, b, out, type)).first;
  }
  return found->second;
}

void run_matmul(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, Type type) {
  const Matmul& matmul = cached_matmul(layout_of(a), layout_of(b), layout_of(out), type);
  auto& [device, stream] = engine();
  const dnnl::memory a_memory(matmul.a, device, a.data_ptr());
  const dnnl::memory b_memory(matmul.b, device, b.data_ptr());
  const dnnl::memory out_memory(matmul.out, device, out.data_ptr<float>());
  matmul.primitive.execute(
      stream, {{DNNL_ARG_SRC, a_memory}, {DNNL_ARG_WEIGHTS, b_memory}, {DNNL_ARG_DST, out_memory}});
  stream.wait();
}

void run_sgemm(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, float alpha, float beta) {
  const bool a_transposed = a.stride(1) != 1;
  const bool b_transposed = b.stride(1) != 1;
  const Layout a_layout = layout_of(a);
  const Layout b_layout = layout_of(b);
  const dnnl_status_t status = dnnl_sgemm(
      a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', a.size(0), b.size(1), a.size(1), alpha,
      a.data_ptr<float>(), a_transposed ? a_layout[3] : a_layout[2], b.data_ptr<float>(),
      b_transposed ? b_layout[3] : b_layout[2], beta, out.data_ptr<float>(), layout_of(out)[2]);
  check_runtime(status == dnnl_success, "[gemm] oneDNN sgemm failed with status {}",
                static_cast<int>(status));
}

}  // namespace

void gemm(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, float alpha, float beta) {
  const at::Tensor a_view = blas_view(a);
  const at::Tensor b_view = blas_view(b);
  // Measured at our shapes: the matmul primitive is the faster one when A is row-major and B
  // transposed (x·Wᵀ), sgemm in all other cases; and only sgemm takes alpha and beta at run time.
  const bool transposed_weights = a_view.stride(1) == 1 && b_view.stride(1) != 1;
  if (transposed_weights && alpha == 1 && beta == 0) {
    run_matmul(out, a_view, b_view, Type::f32);
  } else {
    run_sgemm(out, a_view, b_view, alpha, beta);
  }
}

void gemm_bfloat16(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  run_matmul(out, blas_view(a), blas_view(b), Type::bf16);
}

bool has_bfloat16() {
  // The values are masks: a set of instructions includes those before it.
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (isa & wanted) == wanted;
}

std::string version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

std::string instruction_set() {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const std::pair<dnnl::cpu_isa, const char*> known[] = {
      {dnnl::cpu_isa::avx512_core_amx, "avx512_core_amx"},
      {dnnl::cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
      {dnnl::cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
      {dnnl::cpu_isa::avx512_core, "avx512_core"},
      {dnnl::cpu_isa::avx2_vnni, "avx2_vnni"},
      {dnnl::cpu_isa::avx2, "avx2"},
      {dnnl::cpu_isa::avx, "avx"},
      {dnnl::cpu_isa::sse41, "sse41"}};
  for (const auto& [mask, name] : known)
    if ((isa & static_cast<unsigned>(mask)) == static_cast<unsigned>(mask)) return name;
  return "generic";
}

}  // namespace decorr::linalg::onednn
