"""scripts/check_unity_names.py finds what compiling files in groups would mix up."""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/check_unity_names.py"
FILE = """#include "decorr/a/shared.h"

namespace decorr::a {
namespace {

using Map = std::map<int, int>;

%s

}  // namespace

void outside(int value) {}

}  // namespace decorr::a
"""


def complaints(folder: Path, first: str, second: str, header: str = "") -> str:
    for name, text in {"one.cpp": FILE % first, "two.cpp": FILE % second,
                       "other.h": f"namespace decorr::a {{\n{header}\n}}  // namespace decorr::a\n"}.items():
        path = folder / "decorr/a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result = subprocess.run([SCRIPT, folder], capture_output=True, text=True, check=False)
    assert result.returncode == (1 if result.stderr else 0)
    return result.stderr


def test_names_of_their_own_are_fine(tmp_path):
    assert complaints(tmp_path, "int one(int a) {", "int two(int a) {", "int three(int a);") == ""


def test_functions_types_and_variables_of_one_name_are_found(tmp_path):
    for first, second in [("int same(int a) {", "[[noreturn]] void same(const std::string& a,"),
                          ("struct Same {", "class Same : public Base {"),
                          ("constexpr int kSame = 1;", "const char* const kSame = 0;"),
                          ("template <typename T>\nstd::vector<T> same(T a) {", "void same() {")]:
        text = complaints(tmp_path, first, second)
        assert "ame is the name of several things, in decorr/a/one.cpp, decorr/a/two.cpp" in text


def test_a_name_of_a_header_that_the_file_does_not_include_is_found(tmp_path):
    assert "decorr::a::same" in complaints(tmp_path, "int same(int a) {", "", "int same(double a);")


def test_the_project_passes():
    assert subprocess.run([SCRIPT], check=False).returncode == 0
