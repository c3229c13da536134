# Compiler settings shared by every target of the project.

find_program(DECORR_CCACHE ccache)
if(DECORR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache can only see through a precompiled header with these checks relaxed.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${DECORR_CCACHE})
endif()

add_library(decorr_flags INTERFACE)
target_compile_options(decorr_flags INTERFACE -Wall -Wextra -Wshadow -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND DECORR_CCACHE)
  target_compile_options(decorr_flags INTERFACE -fpch-preprocess)
endif()
if(DECORR_WERROR)
  target_compile_options(decorr_flags INTERFACE -Werror)
endif()

if(DECORR_SANITIZE)
  # vptr checks need the type information of LibTorch's hidden classes, which its library does not export.
  set(sanitize_flags -fsanitize=${DECORR_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer
                     -fno-sanitize-recover=all)
  target_compile_options(decorr_flags INTERFACE ${sanitize_flags})
  target_link_options(decorr_flags INTERFACE ${sanitize_flags})
  target_compile_definitions(decorr_flags INTERFACE DECORR_SANITIZED)
endif()
