# Compiler settings shared by every target, and the helper that declares one.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Scripts and the README name programs by one path: build/<preset>/bin.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(SEMSAM_CCACHE ccache)
if(SEMSAM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SEMSAM_CCACHE})
endif()

add_library(semsam_options INTERFACE)
target_include_directories(semsam_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(semsam_options INTERFACE -Wall -Wextra -Wno-sign-compare
                                                -Wno-missing-field-initializers)
# g++ 12 sees overlapping copies in every std::string that begins with a literal.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(semsam_options INTERFACE -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(semsam_options INTERFACE -Wthread-safety)
endif()
if(SEMSAM_SANITIZE)
  target_compile_options(semsam_options INTERFACE -fsanitize=${SEMSAM_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(semsam_options INTERFACE -fsanitize=${SEMSAM_SANITIZE})
endif()

# semsam_library(NAME SOURCES file... [DEPS target...] [PRIVATE_DEPS target...])
# A static library; DEPS are the only layers it may include.
function(semsam_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  add_library(semsam::${name} ALIAS ${name})
  target_link_libraries(${name} PUBLIC semsam_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()
