#include "apps/decorr/process_settings.h"

#include <cstdlib>
#include <string>
#include <unistd.h>

namespace decorr::app {
namespace {

// Adds NAME=VALUE to the settings of glibc's allocator, a list with colons, unless the user has set
// it, there or by its older `alias`.
void add_tunable(const std::string& name, const char* alias, const std::string& value) {
  if (std::getenv(alias) != nullptr) return;
  const char* before = std::getenv("GLIBC_TUNABLES");
  std::string tunables = before != nullptr ? before : "";
  if (tunables.find(name) != std::string::npos) return;
  if (!tunables.empty()) tunables += ':';
  setenv("GLIBC_TUNABLES", (tunables + name + '=' + value).c_str(), 1);
}

}  // namespace

void restart_with_settings(char** argv) {
  if (std::getenv("DECORR_RESTARTED") != nullptr) return;
  setenv("DECORR_RESTARTED", "1", 1);
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) setenv("GOMP_SPINCOUNT", "1000", 0);
  add_tunable("glibc.malloc.hugetlb", "MALLOC_HUGETLB_", "1");
  add_tunable("glibc.malloc.mmap_threshold", "MALLOC_MMAP_THRESHOLD_", "33554432");  // glibc's most
  add_tunable("glibc.malloc.trim_threshold", "MALLOC_TRIM_THRESHOLD_", "17179869184");
  execv("/proc/self/exe", argv);
  // Without /proc the program runs as it is.
}

}  // namespace decorr::app
