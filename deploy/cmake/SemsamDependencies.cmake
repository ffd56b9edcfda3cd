# Third-party packages, as imported targets. Everything but LibTorch comes from
# the distribution; see deploy/setup.sh for the package names.

# The cache that deploy/setup.sh fills; the same order as there.
if(NOT "$ENV{SEMSAM_CACHE_DIR}" STREQUAL "")
  set(SEMSAM_CACHE $ENV{SEMSAM_CACHE_DIR})
elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(SEMSAM_CACHE $ENV{XDG_CACHE_HOME}/semsam)
else()
  set(SEMSAM_CACHE $ENV{HOME}/.cache/semsam)
endif()

find_package(absl REQUIRED CONFIG)
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(JPEG REQUIRED)
find_package(ICU REQUIRED COMPONENTS i18n uc)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)

# The -core, -imgproc and -imgcodecs packages carry no CMake config (that is in
# libopencv-dev with 150 others), so the three libraries are found by name.
find_path(SEMSAM_OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
add_library(semsam_opencv INTERFACE)
target_include_directories(semsam_opencv SYSTEM INTERFACE ${SEMSAM_OPENCV_INCLUDE})
foreach(module core imgproc imgcodecs)
  find_library(SEMSAM_OPENCV_${module} opencv_${module} REQUIRED)
  target_link_libraries(semsam_opencv INTERFACE ${SEMSAM_OPENCV_${module}})
endforeach()

if(SEMSAM_WITH_TORCH)
  # SEMSAM_TORCH_DIR is the folder with include/ and lib/. Without it
  # CMAKE_PREFIX_PATH is searched, then the cache that deploy/setup.sh fills.
  set(SEMSAM_TORCH_DIR "" CACHE PATH "LibTorch: the folder that holds include/ and lib/")
  # What an earlier configuration found counts only while nothing else is asked
  # for and it still exists.
  if(NOT "${SEMSAM_TORCH_DIR}" STREQUAL "${SEMSAM_TORCH_DIR_USED}"
     OR NOT EXISTS "${SEMSAM_TORCH_INCLUDE}")
    foreach(found TORCH_INCLUDE LIB_C10 LIB_TORCH_CPU LIB_torch_cuda LIB_c10_cuda)
      unset(SEMSAM_${found} CACHE)
    endforeach()
  endif()
  set(SEMSAM_TORCH_DIR_USED "${SEMSAM_TORCH_DIR}" CACHE INTERNAL "")
  find_path(SEMSAM_TORCH_INCLUDE torch/csrc/api/include/torch/torch.h
            HINTS ${SEMSAM_TORCH_DIR} ${CMAKE_PREFIX_PATH} ENV CMAKE_PREFIX_PATH
                  ${SEMSAM_CACHE}/libtorch/torch
            PATH_SUFFIXES include ../../include REQUIRED NO_DEFAULT_PATH)
  get_filename_component(_semsam_torch_root ${SEMSAM_TORCH_INCLUDE} DIRECTORY)
  find_library(SEMSAM_LIB_C10 c10 HINTS ${_semsam_torch_root}/lib REQUIRED NO_DEFAULT_PATH)
  find_library(SEMSAM_LIB_TORCH_CPU torch_cpu HINTS ${_semsam_torch_root}/lib REQUIRED
               NO_DEFAULT_PATH)

  # Two imported targets instead of LibTorch's own package, which demands a
  # CUDA toolkit even where none is used. Its include folder shadows the
  # distribution's protobuf: link it PRIVATE, and never beside generated code.
  add_library(semsam_c10 SHARED IMPORTED)
  set_target_properties(semsam_c10 PROPERTIES IMPORTED_LOCATION ${SEMSAM_LIB_C10})
  add_library(semsam_libtorch SHARED IMPORTED)
  set_target_properties(
    semsam_libtorch
    PROPERTIES
      IMPORTED_LOCATION ${SEMSAM_LIB_TORCH_CPU}
      INTERFACE_INCLUDE_DIRECTORIES
      "${SEMSAM_TORCH_INCLUDE};${SEMSAM_TORCH_INCLUDE}/torch/csrc/api/include"
      INTERFACE_LINK_LIBRARIES semsam_c10)
  # libtorch_cpu finds its CUDA runtime through its own run path; the linker
  # need not.
  set_property(TARGET semsam_libtorch APPEND PROPERTY INTERFACE_LINK_OPTIONS
               -Wl,--allow-shlib-undefined)
  if(SEMSAM_WITH_CUDA)
    # Kernels of our own where a compiler for them is at hand; without one
    # LibTorch's operators do their work, slower.
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
      endif()
      # One CUDA runtime in the process: LibTorch brings the shared one.
      set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
      # CMake 3.25 knows no flag for 20.
      set(CMAKE_CUDA_STANDARD 17)
      set(CMAKE_CUDA_STANDARD_REQUIRED ON)
      enable_language(CUDA)
    endif()
    foreach(lib torch_cuda c10_cuda)
      find_library(SEMSAM_LIB_${lib} ${lib} HINTS ${_semsam_torch_root}/lib REQUIRED
                   NO_DEFAULT_PATH)
      # Nothing refers to its symbols: the library registers its operators when
      # it is loaded.
      set_property(TARGET semsam_libtorch APPEND PROPERTY INTERFACE_LINK_LIBRARIES
                   -Wl,--no-as-needed ${SEMSAM_LIB_${lib}} -Wl,--as-needed)
    endforeach()
  endif()
endif()

if(SEMSAM_WITH_GRPC)
  find_package(Protobuf REQUIRED MODULE)
  find_package(gRPC REQUIRED CONFIG)
  find_package(spdlog REQUIRED CONFIG)
endif()

if(SEMSAM_BUILD_TESTS)
  find_package(GTest REQUIRED CONFIG)
  include(GoogleTest)
endif()
if(SEMSAM_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED CONFIG)
endif()
