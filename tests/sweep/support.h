#pragma once

#include "decorr/sweep/plan.h"
#include "decorr/sweep/sweep_file.h"

#include <fmt/format.h>

#include "tests/io/temporary_folder.h"
#include <fstream>
#include <string>

// What the tests of sweeps share.
namespace decorr::testing_support {

/// A folder with a base configuration, and sweeps of it.
class SweepFolder {
 public:
  /// The base configuration is `base`.
  explicit SweepFolder(const std::string& base = "[optimizer]\nlr = 0.5\n") {
    std::ofstream(folder_ / "base.toml") << base;
  }

  /// The sweep with `text` behind the name of the base configuration, which is line 1.
  sweep::SweepFile file(const std::string& text) const {
    return sweep::parse_sweep_file("config = \"base.toml\"\n" + text,
                                   (folder_ / "s.toml").string());
  }

  sweep::Plan plan(const std::string& text) const { return sweep::make_plan(file(text)); }

  /// The message that refuses `text`, without the path of the folder.
  std::string error(const std::string& text) const {
    std::string message = error_of<std::invalid_argument>([&] { sweep::make_plan(file(text)); });
    const std::string path = folder_.path().string() + "/";
    for (auto at = message.find(path); at != std::string::npos; at = message.find(path))
      message.erase(at, path.size());
    return message;
  }

  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
};

/// `[sweep]` with a metric.
inline const std::string kLoss = "[sweep]\nmetric = \"train_loss\"\n";

}  // namespace decorr::testing_support
