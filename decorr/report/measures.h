#pragma once

#include <array>
#include <cstddef>
#include <limits>

namespace decorr::report {

/// What is not known: a value that a row of `metrics.jsonl` does not have.
inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// A number that `metrics.jsonl` has for each epoch or layer, and what a reader calls it.
struct Measure {
  const char* key;    ///< in `metrics.jsonl`
  const char* title;  ///< on the page
  bool required;      ///< whether every row has it
};

/// Indices of an epoch's numbers. Accuracies are fractions.
enum Metric : std::size_t {
  kTestAccuracy,
  kTrainLoss,
  kTestLoss,
  kTrainAccuracy,
  kTop5,
  kValidationAccuracy,
  kValidationLoss,
};
inline constexpr std::array<Measure, 7> kMetrics = {{
    {"test_acc", "Test accuracy", true},
    {"train_loss", "Training loss", true},
    {"test_loss", "Test loss", true},
    {"train_acc", "Training accuracy", true},
    {"test_top5", "Top-5 test accuracy", false},
    {"validation_acc", "Validation accuracy", false},
    {"validation_loss", "Validation loss", false},
}};

/// Indices of a layer's numbers at the end of an epoch; angles in degrees, counts since the start.
enum LayerMeasure : std::size_t {
  kEnergy,
  kInputEnergy,
  kMatrixNorm,
  kUpdates,
  kSkipped,
  kShortened,
  kGradientAngle,
  kNormRatio,
  kFeedbackAngle,
};
inline constexpr std::array<Measure, 9> kLayerMeasures = {{
    {"energy", "Off-diagonal energy of u", false},
    {"input_energy", "Off-diagonal energy of x", false},
    {"matrix_norm", "Norm of R", false},
    {"updates", "Updates", false},
    {"skipped", "Skipped updates", false},
    {"shortened", "Shortened updates", false},
    {"gradient_angle", "Gradient angle (degrees)", false},
    {"norm_ratio", "Ratio of gradient norms", false},
    {"feedback_angle", "Feedback angle (degrees)", false},
}};

}  // namespace decorr::report
