#pragma once

/// Put before a function: compiles it once for AVX-512 (x86-64-v4), once for AVX2 (x86-64-v3) and
/// once for the base instruction set; the dynamic linker picks the version for the machine at hand.
///
/// The function's loops must be such that the compiler vectorises them, and what it calls must be
/// inlined into it. Versions agree bit for bit only in a file compiled with `-ffp-contract=off`.
/// Empty for compilers and machines without the feature, and in sanitizer builds: the linker asks
/// for the version before the sanitizer's runtime is ready.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && __GNUC__ >= 12 && \
    !defined(__clang__) && !defined(DECORR_SANITIZED)
#define DECORR_SIMD_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DECORR_SIMD_CLONES
#endif
